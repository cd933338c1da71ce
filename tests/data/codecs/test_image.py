"""The image codec: every kind of picture, and every way in which one can be bad."""

import contextlib
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, ImageCodec, datasets

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (8, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
grey, colour = ImageCodec(8, 8, 1), ImageCodec(8, 8, 3)


def saved(path, picture, **how):
    picture.save(path, **how)
    return path


def smooth(height, width):
    """A picture that survives scaling: red grows downward, green to the right."""
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    return (np.stack([rows, columns, np.zeros_like(rows)], 2) * 255).round().astype(np.uint8)


def test_the_same_picture_in_any_form(tmp_path):
    expected = torch.from_numpy(COLOUR).movedim(2, 0) / 255
    picture = Image.fromarray(COLOUR)
    path = saved(tmp_path / "a.png", picture)
    forms = [path, str(path), path.read_bytes(), picture, COLOUR, COLOUR.astype(int), COLOUR / 255.0]
    for form in [*forms, expected, torch.from_numpy(COLOUR).movedim(2, 0)]:
        assert torch.equal(colour.encode(form)["x"], expected)
    expected = torch.from_numpy(GREY)[None] / 255
    for form in (Image.fromarray(GREY), GREY, GREY[:, :, None], expected, expected[0], GREY.tolist()):
        assert torch.equal(grey.encode(form)["x"], expected)


def test_grey_and_colour_from_one_another(tmp_path):
    x = colour.encode(GREY)["x"]
    assert torch.equal(x, (torch.from_numpy(GREY) / 255).expand(3, 8, 8))
    weights = torch.tensor([0.299, 0.587, 0.114])
    expected = (torch.from_numpy(COLOUR) / 255 @ weights)[None]
    assert torch.allclose(grey.encode(COLOUR)["x"], expected, atol=1 / 255)


def test_modes(tmp_path):
    flat = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    picture = Image.fromarray(flat)
    expected = torch.tensor([200, 100, 50]) / 255
    files = {
        "palette": saved(tmp_path / "p.png", picture.convert("P", palette=Image.Palette.ADAPTIVE)),
        "gif": saved(tmp_path / "a.gif", picture.convert("P", palette=Image.Palette.ADAPTIVE)),
        "cmyk": saved(tmp_path / "c.tif", picture.convert("CMYK")),
        "cmyk-jpeg": saved(tmp_path / "c.jpg", picture.convert("CMYK"), quality=100),
        "jpeg": saved(tmp_path / "a.jpg", picture, quality=100),
        "webp": saved(tmp_path / "a.webp", picture, lossless=True),
    }
    for name, file in files.items():
        x = colour.encode(file)["x"]
        assert (x.mean((1, 2)) - expected).abs().max() < 3 / 255, name
    bits = saved(tmp_path / "1.png", Image.fromarray(GREY > 127))
    assert torch.equal(grey.encode(bits)["x"][0], torch.from_numpy(GREY > 127).float())


def test_transparent_parts_are_black(tmp_path):
    alpha = np.zeros((8, 8), np.uint8)
    alpha[:4] = 255
    picture = Image.fromarray(np.dstack([np.full((8, 8, 3), 255, np.uint8), alpha]))
    for file in (
        saved(tmp_path / "a.png", picture),
        saved(tmp_path / "la.png", picture.convert("LA")),
        saved(tmp_path / "p.png", Image.fromarray(alpha // 255).convert("L"), transparency=0),
    ):
        x = colour.encode(file)["x"]
        assert x[:, 4:].max() == 0
        assert x[:, :4].min() > 0


@pytest.mark.parametrize("most", [65535, 200])
def test_sixteen_bits(tmp_path, most):
    values = (GREY / 255.0 * most).astype(np.uint16)  # also where all values would fit into 8
    path = saved(tmp_path / "a.png", Image.fromarray(values))
    expected = torch.from_numpy(values / 65535.0).float()
    assert torch.allclose(grey.encode(path)["x"][0], expected, atol=0.6 / 255)


@pytest.mark.parametrize("top", [1.0, 0.25, 255.0])
def test_pictures_of_fractions(tmp_path, top):
    """Numbers up to 1 are fractions, as everywhere; greater ones are of 0 … 255."""
    values = (GREY / 255 * top).astype(np.float32)
    path = saved(tmp_path / "a.tif", Image.fromarray(values))
    expected = torch.from_numpy(values / (255 if top > 1 else 1))
    assert torch.allclose(grey.encode(path)["x"][0], expected, atol=0.51 / 255)
    values[3, 2] = np.nan
    with pytest.raises(BadData, match=r"a\.tif holds a NaN or infinite pixel: save it anew, or leave it out"):
        grey.encode(saved(path, Image.fromarray(values)))


def test_a_palette_may_hold_transparent_colours(tmp_path):
    ink = np.repeat(np.arange(4, dtype=np.uint8), 16).reshape(8, 8)
    picture = Image.fromarray(ink)
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255], "RGB")
    path = saved(tmp_path / "a.png", picture, transparency=bytes([255, 0, 255, 128]))
    assert Image.open(path).mode == "P"
    rows = colour.encode(path)["x"][:, ::2, 0].T
    expected = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 0, 1], [128 / 255] * 3])
    assert torch.allclose(rows, expected, atol=1 / 255)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.uint8, torch.int64, torch.bool])
def test_tensors_of_any_type(kind):
    whole = not kind.is_floating_point and kind != torch.bool
    ones = torch.ones(3, 8, 8) * (255 if whole else 1)
    assert torch.equal(colour.encode(ones.to(kind).requires_grad_(kind.is_floating_point))["x"], torch.ones(3, 8, 8))


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_exif_orientation(tmp_path, turn):
    """The picture as a viewer shows it: undo the turn, save what is left with its tag, get the picture back."""
    shown = smooth(8, 8)
    stored = {
        1: shown,
        2: shown[:, ::-1],
        3: shown[::-1, ::-1],
        4: shown[::-1],
        5: shown.transpose(1, 0, 2),
        6: np.rot90(shown, 1),
        7: shown[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(shown, -1),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    for name in ("a.png", "a.jpg", "a.tif", "a.webp"):
        path = saved(tmp_path / name, Image.fromarray(np.ascontiguousarray(stored)), exif=exif, quality=100)
        expected = torch.from_numpy(shown).movedim(2, 0) / 255
        # JPEG blurs the colours a little; another turn is off by 1 in a corner
        assert (colour.encode(path)["x"] - expected).abs().max() < 0.2, name


def test_a_wrong_suffix_does_not_matter(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(COLOUR), format="PNG")
    assert torch.equal(colour.encode(path)["x"], torch.from_numpy(COLOUR).movedim(2, 0) / 255)


def test_exif_orientation(tmp_path):
    picture = Image.fromarray(smooth(8, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # is to be turned clockwise
    path = saved(tmp_path / "a.png", picture, exif=exif)
    codec = ImageCodec(16, 8, 3)
    assert torch.equal(codec.encode(path)["x"], codec.encode(picture.rotate(-90, expand=True))["x"])


@pytest.mark.parametrize(("height", "width"), [(8, 24), (24, 8), (100, 300), (301, 99), (4, 12), (3000, 5)])
def test_any_shape_covers_the_size_and_is_cut_in_the_middle(height, width):
    x = colour.encode(smooth(height, width))["x"]
    assert x.shape == (3, 8, 8)
    side = min(height, width)
    for axis, length in ((0, height), (1, width)):
        line = x[axis].mean(1 - axis)
        assert abs(line.mean() - 0.5) < 0.05
        spread = (line[-1] - line[0]).item()
        assert spread == pytest.approx(side / length, abs=0.3 * side / length + 0.02)


def test_a_large_jpeg_is_read_at_a_fraction_of_its_size(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(smooth(1200, 1600)), quality=95)
    x, slow = colour.encode(path)["x"], colour.encode(Image.open(path).copy())["x"]
    assert (x - slow).abs().max() < 4 / 255
    # and never at less than is asked for: waves of 12 pixels, 3 in the end
    waves = np.tile(127.5 + 100 * np.sin(np.arange(512) / 12 * 2 * np.pi), (512, 1)).round().astype(np.uint8)
    path = saved(tmp_path / "b.jpg", Image.fromarray(waves), quality=95)
    codec = ImageCodec(128, 128, 1)
    x, slow = codec.encode(path)["x"], codec.encode(waves)["x"]
    assert slow.std() > 0.15
    assert (x - slow).abs().max() < 0.1


def test_a_saved_sample_comes_back(tmp_path):
    data = datasets.digits()
    x = data.test.gather(torch.arange(20))["x"]
    mean, std = data.codec.mean[0], data.codec.std[0]
    for i in range(20):
        ink = ((x[i, 0] * std + mean) * 255).round().byte().numpy()
        again = data.codec.encode(saved(tmp_path / f"{i}.png", Image.fromarray(ink)))["x"]
        assert (again - x[i]).abs().max() <= 0.51 / 255 / std


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (255, 0, 0)]
    path = saved(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert grey.encode(path)["x"].min() == 1


def test_fit_takes_mean_and_spread_a_channel():
    pixels = torch.rand(50, 3, 4, 6) * torch.tensor([1, 0.5, 0.1]).view(3, 1, 1)
    codec = ImageCodec.fit(pixels, ("a", "b"))
    assert codec.shape == (3, 4, 6)
    assert codec.labels == ("a", "b")
    x = codec.standardise(pixels)
    assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(x.std((0, 2, 3)), torch.ones(3), atol=1e-5)
    assert torch.isfinite(ImageCodec.fit(torch.zeros(5, 1, 2, 2)).standardise(torch.ones(1, 2, 2))).all()


def test_decode():
    found = ImageCodec(8, 8, 1, labels=("a", "b", "c")).decode(torch.tensor([0.2, 0.7, 0.1]))
    assert found == {"label": "b", "confidence": 0.7, "top": [["b", 0.7], ["a", 0.2], ["c", 0.1]]}


def _bomb():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


def _png():
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _jpeg():
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: save it anew"),
        (b"hello, I am no picture", "is no picture that can be read: save it anew"),
        (_png()[: len(_png()) // 2], "is torn or broken"),
        (_jpeg()[: len(_jpeg()) // 2], "is torn or broken"),
        (_png()[:20], "is (torn or broken|no picture)"),
        (_bomb(), "decompression bomb"),
    ],
)
def test_bad_files_are_named(tmp_path, content, message):
    path = tmp_path / "holiday.png"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadData, match=f"holiday.png.*{message}"):
            colour.encode(path)
        with pytest.raises(BadData, match=f"the picture.*{message}"):
            colour.encode(content)


def test_a_smaller_bomb_and_a_wrong_place(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(_bomb().replace(struct.pack(">II", 50_000, 50_000), struct.pack(">II", 9_000, 9_000)))
    with pytest.raises(BadData):  # its checksum does not fit either
        colour.encode(path)
    path = saved(tmp_path / "wide.png", Image.new("1", (12_000, 9_000)))
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(BadData, match=r"12000×9000 pixels, more than 64,000,000: it looks like a decompression bomb"),
    ):
        colour.encode(path)
    with pytest.raises(BadData, match=r"there is no file .*nothing\.png"):
        colour.encode(tmp_path / "nothing.png")
    with pytest.raises(BadData, match=r"cannot be opened \(Is a directory\): give a file that may be read"):
        colour.encode(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "ppm"])
def test_a_picture_torn_anywhere_is_whole_or_refused(suffix):
    """What is cut off is never grey or black without a word."""
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file, suffix)
    content = file.getvalue()
    whole = colour.encode(content)["x"]
    refused = []
    for length in range(0, len(content), 3):
        try:
            assert torch.equal(colour.encode(content[:length])["x"], whole), length
        except BadData as error:
            refused.append(str(error))
    assert len(refused) > 0.9 * len(content) / 3
    assert all("save it anew" in message for message in refused)


def test_flipped_bits_give_a_picture_or_bad_data(tmp_path):
    for content in (_png(), _jpeg()):
        for _ in range(60):
            wrong = bytearray(content)
            for place in RNG.integers(0, len(wrong), 3):
                wrong[place] ^= 1 << int(RNG.integers(8))
            with contextlib.suppress(BadData):
                assert colour.encode(bytes(wrong))["x"].isfinite().all()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((2, 3, 4, 5)), r"float64 \(2, 3, 4, 5\)"),
        (np.zeros(5), r"give a path, bytes"),
        (np.zeros((8, 8, 2)), r"\(8, 8, 2\)"),
        (np.full((8, 8), 300), "300 .* whole ones are 0 … 255"),
        (np.full((8, 8), 1.5), "fractions 0 … 1"),
        (np.full((8, 8), np.nan), "fractions 0 … 1"),
        ({"a": 1}, "give a path"),
        (None, "give a path"),
    ],
)
def test_bad_arrays(raw, message):
    with pytest.raises(BadData, match=message):
        colour.encode(raw)


def test_bad_arguments():
    with pytest.raises(ValueError, match="channels is 2; give 1 for grey or 3 for RGB"):
        ImageCodec(8, 8, 2)
    with pytest.raises(ValueError, match="one number a channel"):
        ImageCodec(8, 8, 3, (0.0, 0.0))
