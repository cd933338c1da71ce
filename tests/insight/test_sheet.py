"""Sheets of examples: what is drawn is what was asked, answered and true."""

import numpy as np
import torch
from PIL import Image

from descend.data import ImageCodec, MaskCodec, Noise, PhotoCodec, Tensors, datasets
from descend.engine import Task
from descend.insight import report, sheet
from tests.insight import runs


class Told(Task):
    """Answers what it was told, whatever it sees."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def predict(self, x):
        return self.answer[: len(x)]


def test_right_and_wrong_answers_differ(tmp_path):
    codec = ImageCodec(8, 8, 1, labels=("cat", "dog"))
    data = Tensors(x=torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), target=torch.zeros(6).long())
    right = sheet(Told(torch.eye(2)[[0] * 6]), codec, data, tmp_path / "right.png")
    wrong = sheet(Told(torch.eye(2)[[1] * 6]), codec, data, tmp_path / "wrong.png")
    one, other = (np.asarray(Image.open(path)).astype(int) for path in (right, wrong))
    assert one.shape == other.shape
    assert (one[:104] == other[:104]).all()  # the pictures are the same
    assert (one != other).any()  # what is said of them is not
    assert (abs(other - (0xC6, 0x5A, 0x00)).sum(2) < 60).any()
    assert not (abs(one - (0xC6, 0x5A, 0x00)).sum(2) < 60).any()


def test_a_picture_is_drawn_as_it_looked():
    pixels = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(1))
    codec = ImageCodec(5, 7, 3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.1), ("a", "b"))
    found = torch.from_numpy(np.array(codec.picture(codec.standardise(pixels)))).movedim(2, 0)
    assert (found - pixels * 255).abs().max() <= 0.51


def test_masks_are_drawn_over_their_picture(tmp_path):
    codec = MaskCodec(6, 6, 1, labels=("ground", "tree"))
    x, target = torch.full((2, 1, 6, 6), 0.5), torch.zeros(2, 6, 6).long()
    target[:, :, 3:] = 1
    answer = torch.nn.functional.one_hot(1 - target, 2).movedim(3, 1).float()
    path = sheet(Told(answer), codec, Tensors(x=x, target=target), tmp_path / "sheet.png")
    row = np.asarray(Image.open(path))[8:14, 8:].astype(int)
    plain, truth, found = row[:, :6], row[:, 10:16], row[:, 20:26]
    assert (truth[:, :3] == plain[:, :3]).all()
    assert (truth[:, 3:] != plain[:, 3:]).any(2).all()
    assert (found[:, 3:] == plain[:, 3:]).all()
    assert (found[:, :3] == truth[:, 3:]).all()


class Halved(Task):
    """Answers half of what it sees."""

    def predict(self, x):
        return x / 2


def test_photos_of_unlike_sizes_are_drawn_one_by_one(tmp_path):
    sizes = ((160, 170), (151, 200), (200, 151))
    photos = {str(size): torch.full((1, *size), 200).to(torch.uint8) for size in sizes}
    path = sheet(Halved(), PhotoCodec(1), datasets.Photos(photos, Noise(0.0)), tmp_path / "sheet.png")
    whole = np.asarray(Image.open(path)).astype(int)
    assert whole.shape == (2 * 158 + 8, 2 * 466 + 8, 3)
    assert sorted(np.unique(whole).tolist()) == [100, 200, 255]


def test_what_has_no_picture_has_no_sheet(tmp_path):
    data = Tensors(x=torch.ones(4, 3), target=torch.zeros(4).long())
    assert sheet(Told(torch.eye(2)[[0] * 4]), None, data, tmp_path / "none.png") is None
    codec = ImageCodec(2, 2, 1)
    pictures = Tensors(x=torch.ones(4, 1, 2, 2), target=torch.zeros(4).long())
    assert sheet(Told(torch.eye(2)[[0] * 4]), codec, pictures, tmp_path / "none.png") is None
    assert sheet(Told(None), codec, None, tmp_path / "none.png") is None
    assert not (tmp_path / "none.png").exists()


def test_a_report_holds_the_sheet(tmp_path):
    folder = runs.folder(tmp_path / "run", runs.lines(), runs.scores())
    assert "data:image/png" not in report(folder).read_text()
    Image.new("RGB", (4, 4)).save(folder / "sheet.png")
    assert "Examples of the test split" in report(folder).read_text()
    assert "data:image/png;base64," in report(folder).read_text()
