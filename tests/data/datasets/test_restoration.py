"""Photos to be restored: patches by key, whole photos for tests, and none on both sides."""

import importlib.util
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, Downscale, Files, Loader, Noise, PictureCodec, Splits, Tensors, datasets
from descend.data.datasets.restoration import PACKAGED, patches, read_photos


def fill(folder, sizes=((40, 50), (60, 30), (33, 34)), mode="RGB"):
    draw = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        levels = draw.integers(0, 256, size if mode == "L" else (*size, 3), dtype=np.uint8)
        Image.fromarray(levels).save(folder / f"{number}.png")
    return folder


def test_photos_are_read_from_folders_and_archives(tmp_path):
    folder = fill(tmp_path / "photos")
    (folder / "notes.txt").write_text("no picture")
    found = read_photos(folder, 3)
    assert {name: tuple(photo.shape) for name, photo in found.items()} == {
        "0.png": (3, 40, 50),
        "1.png": (3, 60, 30),
        "2.png": (3, 33, 34),
    }
    assert torch.equal(found["0.png"].movedim(0, 2), torch.from_numpy(np.array(Image.open(folder / "0.png"))))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inside/{file.name}")
    packed = read_photos(zipfile.Path(tmp_path / "all.zip") / "inside", 3)
    assert all(torch.equal(packed[name], photo) for name, photo in found.items())
    assert read_photos(folder, 1)["1.png"].shape == (1, 60, 30)


def test_what_is_broken_missing_or_too_small_is_named(tmp_path):
    with pytest.raises(BadData, match="there is no folder"):
        read_photos(tmp_path / "nowhere", 1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadData, match="empty holds no picture: give a folder of photos"):
        read_photos(tmp_path / "empty", 1)
    folder = fill(tmp_path / "photos")
    found = read_photos(folder, 1)
    with pytest.raises(BadData, match=r"1.png has 30×60 pixels, which holds no patch of 32×32: leave it out"):
        patches(found, 32, 10, 0)
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match=r"2.png is torn or broken .*: save it anew, or leave it out"):
        read_photos(folder, 1)
    (folder / "2.png").write_bytes(b"")
    with pytest.raises(BadData, match=r"2.png is empty"):
        read_photos(folder, 1)


def test_patches_are_cut_by_key_from_everywhere():
    rows, columns = torch.arange(40).view(1, 40, 1), torch.arange(60).view(1, 1, 60)
    place = torch.cat([rows.expand(1, 40, 60), columns.expand(1, 40, 60)]).to(torch.uint8)
    found = patches({"a": place}, 35, 4000, 0)
    assert found.dtype == torch.uint8
    assert found.shape == (4000, 2, 35, 35)
    assert torch.equal(found, patches({"a": place}, 35, 4000, 0))
    assert not torch.equal(found, patches({"a": place}, 35, 4000, 1))
    tops, lefts = found[:, 0, 0, 0].long(), found[:, 1, 0, 0].long()
    expected = tops[:, None, None] + torch.arange(35)[:, None].expand(35, 35)
    assert torch.equal(found[:, 0].long(), expected)
    assert torch.equal(tops.unique(), torch.arange(6))
    assert torch.equal(lefts.unique(), torch.arange(26))
    assert torch.bincount(lefts).float().std() < 3 * (4000 / 26) ** 0.5


def test_a_photo_gives_patches_by_its_area_also_made_smaller():
    plain, other = torch.full((1, 40, 40), 100).to(torch.uint8), torch.full((1, 80, 40), 200).to(torch.uint8)
    found = patches({"plain": plain, "other": other}, 30, 3000, 0)[:, 0, 0, 0]
    assert len(found) == pytest.approx(3000, abs=3)
    assert (found == 200).sum() == pytest.approx(2000, abs=3)
    step = torch.zeros(1, 40, 40, dtype=torch.uint8)
    step[:, :, 21:] = 255  # where no edge of a larger pixel falls
    found = patches({"step": step}, 30, 500, 0)
    grey = ((found > 20) & (found < 235)).flatten(1).any(1)
    assert grey.float().mean() == pytest.approx(0.36, abs=0.02)  # 0.75² of 1 + 0.75²


def test_whole_photos_of_unlike_sizes_come_one_by_one(tmp_path):
    photos = datasets.Photos(read_photos(fill(tmp_path / "photos"), 3), Noise(25))
    assert len(photos) == 3
    assert not photos.alike
    assert photos.name(1) == "1.png"
    one = photos.gather(torch.tensor([1]))
    assert one["x"].shape == one["target"].shape == (1, 3, 60, 30)
    assert torch.equal(photos.gather(torch.tensor([1]))["x"], one["x"])
    assert not torch.equal(photos.gather(torch.tensor([0]))["x"][0, :, :30, :30], one["x"][0, :, :30, :30])
    with pytest.raises(BadData, match="photos of unlike sizes do not fit one batch of 2: gather them one by one"):
        photos.gather(torch.tensor([0, 1]))
    assert photos.gather(torch.tensor([1, 1]))["x"].shape == (2, 3, 60, 30)
    assert photos.fingerprint() == datasets.Photos(photos.pictures, Noise(25)).fingerprint()
    assert photos.fingerprint() != datasets.Photos(photos.pictures, Noise(24)).fingerprint()
    with pytest.raises(BadData, match="there is not one photo"):
        datasets.Photos({}, Noise(25))


def test_without_scikit_image_its_installation_is_named(monkeypatch):
    plain = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == "skimage" else plain(name, *_))
    with pytest.raises(BadData, match="which is not installed: pip install scikit-image, or give a folder of photos"):
        datasets.restoration(datasets.SET5, Downscale(2))


def test_real_photos(real_data):
    data = datasets.restoration(datasets.SET5, Downscale(2), patch=32, count=500)
    assert data.train.tensors["x"].shape[1:] == (3, 32, 32)
    assert len(data.train) == pytest.approx(500, abs=20)
    assert (len(data.valid), len(data.test)) == (2, 5)
    learned = set(data.valid.pictures)
    assert not learned & set(data.test.pictures)
    batch = data.test.gather(torch.tensor([0]))
    assert batch["target"].shape == (1, 3, 512, 512)
    assert batch["x"].shape == (1, 3, 256, 256)
    assert "target" not in Loader(data.train, 8).batch(0)


def test_real_photos_of_a_folder(real_data, tmp_path):
    folder = fill(tmp_path / "photos", [(40, 40)] * 12, "L")
    data = datasets.restoration(datasets.BSD68, Noise(25), 1, 24, 100, folder)
    assert set(data.valid.pictures) < {f"{n}.png" for n in range(12)}
    assert (len(data.valid), len(data.test)) == (1, 68)
    assert {tuple(sorted(p.shape[1:])) for p in data.test.pictures.values()} == {(321, 481)}


@pytest.mark.slow
@pytest.mark.parametrize("test", [datasets.BSD68, datasets.SET5, datasets.SET12], ids=lambda one: one.folder)
def test_no_test_photo_is_learned_from(test, real_data):
    """A photo shows the same if its thumbnail, or a quarter's, is found in the other."""
    from descend.data.datasets.restoration import _learned

    learned = _learned(test, 1)
    names = {name.partition(".")[0] for name in learned}
    assert not names & set(test.same)
    assert len(learned) == len(PACKAGED) + 14 - len(test.same)
    asked = read_photos(zipfile.Path(test.file.find()) / test.folder, 1)
    for one in _thumbnails(asked):
        assert (_thumbnails(learned) @ one).max() < 0.93


def _thumbnails(photos):
    """16×16, of mean 0 and length 1."""
    small = [torch.nn.functional.adaptive_avg_pool2d(photo / 255.0, 16).flatten() for photo in photos.values()]
    small = torch.stack(small) - torch.stack(small).mean(1, keepdim=True)
    return small / small.norm(dim=1, keepdim=True)


def test_any_pictures_are_damaged_once_to_be_asked_and_anew_to_be_learned_from():
    x = torch.rand(6, 1, 8, 8)
    codec = PictureCodec(8, 8, 1, ("a", "b"))
    target = torch.tensor([0, 1] * 3)
    whole = Splits(Tensors(x=x, target=target), None, Tensors(x=x[:4], target=target[:4]), codec, "x")
    found, again = (datasets.damaged(whole, Noise(50)) for _ in range(2))
    assert set(found.train.tensors) == {"x"}
    assert torch.equal(found.train.tensors["x"], x)
    assert torch.equal(found.test.tensors["target"], x[:4])
    assert torch.equal(found.test.tensors["x"], again.test.tensors["x"])
    assert (found.test.tensors["x"] - x[:4]).std().item() == pytest.approx(50 / 255, rel=0.15)
    assert found.codec.labels is None
    assert found.valid is None
    batch = Loader(found.train, 6, augment=Noise(50)).batch(0)
    assert batch["target"].shape == batch["x"].shape
    files = Files(["one"], lambda _: {"x": x[0], "target": target[0]})
    with pytest.raises(ValueError, match="train is in files"):
        datasets.damaged(Splits(files, None, whole.test, codec, "x"), Noise(50))
