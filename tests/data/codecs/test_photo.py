"""Photos of any size in, and out again."""

import base64
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from descend.data import BadData, PhotoCodec


def photo(height=7, width=9, channels=3):
    levels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(levels[:, :, 0] if channels == 1 else levels)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(7, 9), (1, 1), (40, 3)])
def test_what_goes_in_comes_out(channels, size, tmp_path):
    codec, picture = PhotoCodec(channels), photo(*size, channels)
    picture.save(tmp_path / "photo.png")
    for raw in (picture, tmp_path / "photo.png", np.asarray(picture)):
        x = codec.encode(raw)["x"]
        assert x.shape == (channels, *size)
        answer = json.loads(json.dumps(codec.decode(x)))
        assert (answer["height"], answer["width"]) == size
        again = Image.open(io.BytesIO(base64.b64decode(answer["png"])))
        assert np.array_equal(np.asarray(again), np.asarray(picture))


def test_what_leaves_the_range_is_cut():
    answer = PhotoCodec(1).decode(torch.tensor([[[-0.5, 0.0, 1.0, 1.7]]]))
    levels = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["png"]))))
    assert levels.tolist() == [[0, 0, 255, 255]]


def test_grey_networks_read_colour_and_colour_networks_grey():
    assert PhotoCodec(1).encode(photo())["x"].shape == (1, 7, 9)
    x = PhotoCodec(3).encode(photo(channels=1))["x"]
    assert torch.equal(x[0], x[2])


def test_what_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(BadData, match=r"torn.png .*: save it anew"):
        PhotoCodec().encode(tmp_path / "torn.png")
    with pytest.raises(BadData, match=r"there is no file nowhere.png"):
        PhotoCodec().encode("nowhere.png")
    with pytest.raises(ValueError, match="channels is 2"):
        PhotoCodec(2)


def test_before_after_and_truth_stand_side_by_side():
    target = torch.rand(3, 200, 180, generator=torch.Generator().manual_seed(0))
    given, answer = target[:, ::2, ::2], 1 - target
    row = np.asarray(PhotoCodec().draw({"x": given}, target, answer)).astype(int)
    assert row.shape == (150, 3 * 150 + 8, 3)
    truth = (target[:, 25:175, 15:165].movedim(0, 2) * 255).round().numpy().astype(int)
    assert np.array_equal(row[:, 308:], truth)
    assert abs(row[:, 154:304] - (255 - truth)).max() <= 1
    assert np.array_equal(row[1:-1:2, 1:149:2], truth[1:-1:2, 1:149:2])
    small = PhotoCodec(1).draw({"x": torch.rand(1, 4, 5)}, torch.rand(1, 4, 5), torch.rand(1, 4, 5))
    assert small.size == (3 * 4 + 8, 4)
