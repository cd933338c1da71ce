"""Pictures of one size, there and back, and the classes that can be asked for."""

import base64

import pytest
import torch

from descend.data import BadData, PictureCodec, datasets


def test_a_picture_goes_there_and_back():
    codec = PictureCodec(8, 6, 1, ("T-shirt/top", "Shirt", "Bag"))
    levels = (torch.arange(48).view(1, 8, 6) * 5) / 255
    answer = codec.decode(levels)
    assert (answer["width"], answer["height"]) == (6, 8)
    assert torch.equal(codec.encode(base64.b64decode(answer["png"]))["x"], levels)
    assert codec.encode(torch.rand(3, 20, 30))["x"].shape == codec.shape
    assert codec.draw({"x": levels}, levels, levels).height == 128


def test_classes_are_asked_for_by_name():
    codec = PictureCodec(8, 6, 1, ("T-shirt/top", "Shirt", "Bag"))
    assert [codec.number(word) for word in ("bag", "SHIRT", "top")] == [2, 1, 0]
    with pytest.raises(BadData, match="'boot' is none: there are T-shirt/top, Shirt, Bag"):
        codec.number("boot")
    with pytest.raises(BadData, match="could be T-shirt/top or Shirt"):
        codec.number("hirt")
    with pytest.raises(BadData, match="no classes"):
        PictureCodec(8, 6, 1).number("a")


@pytest.mark.slow
def test_binary_pictures_are_drawn_once_by_key(real_data):
    grey, first, again = (datasets.fashion_pictures(*args).test for args in ((), (True,), (True,)))
    assert torch.equal(first.tensors["x"], again.tensors["x"])
    assert not torch.equal(first.tensors["x"], datasets.fashion_pictures(True, key=1).test.tensors["x"])
    assert set(first.tensors["x"].unique().tolist()) == {0.0, 1.0}
    assert float((first.tensors["x"] - grey.tensors["x"]).mean()) == pytest.approx(0, abs=1e-3)
