"""Answers by what is most like: names, similarities, strangers, drawings."""

import numpy as np
import pytest
import torch

from descend.data import Batch, EmbedCodec
from descend.engine import build, describe

CODEC = EmbedCodec(6, 5, 1, labels=("anna", "ben"), others=("cleo",))
KNOWN = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
NAMES = ("anna", "ben", "anna", "cleo")


def test_the_nearest_names_by_their_nearest_example():
    answer = CODEC.knowing(KNOWN, NAMES, 0.9).decode(torch.tensor([0.8, 0.6]))
    assert answer == {
        "label": "anna",
        "similarity": 0.96,
        "nearest": [["anna", 0.96], ["ben", 0.6], ["cleo", -0.8]],
    }


def test_a_stranger_has_no_name():
    codec = CODEC.knowing(KNOWN, NAMES, 0.9)
    answer = codec.decode(torch.tensor([0.0, -1.0]))
    assert answer["label"] is None
    assert answer["nearest"][0] == ["anna", 0.0]
    assert codec.decode(torch.tensor([-1.0, 0.0]))["label"] == "cleo"


def test_five_names_are_enough():
    names = tuple("abcdefgh")
    answer = CODEC.knowing(torch.eye(8), names, 0.5).decode(torch.arange(8.0))
    assert [name for name, _ in answer["nearest"]] == ["h", "g", "f", "e", "d"]


def test_a_codec_that_knows_nothing_says_so():
    with pytest.raises(ValueError, match=r"knows no examples yet.*codec\.knowing"):
        CODEC.decode(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="2 names for 4 known examples"):
        CODEC.knowing(KNOWN, ("a", "b"), 0.5)
    with pytest.raises(ValueError, match="1 names for 0 known examples"):
        EmbedCodec(4, 4, names=("a",))


def test_what_is_known_travels():
    tensors = {}
    written = describe(CODEC.knowing(KNOWN, NAMES, 0.9), tensors)
    again = build(written, tensors)
    assert torch.equal(again.known, KNOWN)
    assert again.decode(torch.tensor([0.8, 0.6])) == CODEC.knowing(KNOWN, NAMES, 0.9).decode(torch.tensor([0.8, 0.6]))
    assert describe(again) == describe(CODEC.knowing(KNOWN, NAMES, 0.9))


def test_a_face_is_drawn_beside_those_most_like_it():
    x = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 1, 6, 5).contiguous()
    outputs = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 1.0], [-1.0, 0]]))
    tiles = CODEC.tiles(Batch(x=x, target=torch.tensor([0, 0, 1, 2, 1])), outputs)
    assert len(tiles) == 5
    first = np.asarray(tiles[0])
    cell = first.shape[1] // 5
    greys = [int(first[20, place * cell + 20, 0]) for place in range(5)]
    assert greys == [0, 64, 191, 128, 255]  # itself, then by similarity
    wrong = np.array([0xC6, 0x5A, 0x00])
    names = [first[-14:, place * cell : (place + 1) * cell].astype(int) for place in range(5)]
    marked = [bool((abs(name - wrong).sum(2) < 60).any()) for name in names]
    assert marked == [False, False, True, True, True]


def test_two_faces_are_drawn_too():
    tiles = CODEC.tiles(Batch(x=torch.ones(2, 1, 6, 5), target=torch.tensor([0, 1])), torch.eye(2))
    assert tiles[0].width == 2 * (48 + 2)
