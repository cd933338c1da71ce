"""Captions as tensors: what is known, what is guessed, what is none."""

import warnings

import pytest
import torch
from PIL import Image

from descend.data import BadData, CaptionCodec
from descend.data.codecs.caption import caption_words
from descend.data.tokens import words


@pytest.fixture
def codec():
    return CaptionCodec(words(["red apple", "woman's hat"], least=1).to_str(), ("apple", "hat", "red", "woman's"), 8, 8)


def test_a_caption_is_its_tokens(codec):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # all is known
        asked = codec.asked("Red Apple")
    assert asked["kept"].tolist() == [True, True]
    assert codec.caption(**asked) == "red apple"
    tokens, kept = codec.tokenised(["red apple", "red"])
    assert kept.tolist() == [[True, True], [True, False]]
    assert torch.equal(tokens[0], asked["tokens"])
    assert tokens[1, 0] == tokens[0, 0]


def test_both_apostrophes_are_one(codec):
    assert caption_words("Woman’s 2nd hat!") == ("woman's", "2nd", "hat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = codec.asked("woman's hat"), codec.asked("woman’s hat")
    assert torch.equal(first["tokens"], second["tokens"])


@pytest.mark.parametrize(
    ("text", "named"), [("blue apple", "the word blue:"), ("green blue", "the words blue, green:")]
)
def test_strange_words_are_named(codec, text, named):
    with pytest.warns(UserWarning, match=named):
        assert len(codec.asked(text)["tokens"]) == 2


@pytest.mark.parametrize("text", ["", "  ", "…!"])
def test_a_caption_without_a_word_is_none(codec, text):
    with pytest.raises(BadData, match="has no word: say what the picture shows"):
        codec.asked(text)


def test_a_caption_is_cut_behind_its_length():
    codec = CaptionCodec(words(["red apple"], least=1).to_str(), ("apple", "red"), 8, 8, length=3)
    assert len(codec.asked("red apple red apple")["tokens"]) == 3


def test_transparent_places_are_white(codec):
    x = codec.encode(Image.new("RGBA", (8, 8), (255, 0, 0, 0)))["x"]
    assert torch.equal(x, torch.ones(3, 8, 8))
