"""Tokenizers: every text comes back, nothing is learned but from what was given, and codecs travel as plain data."""

import pytest
import torch

from descend.data import BadData, TextCodec
from descend.data.tokens import byte_pairs, characters, utf8, word_pieces, words
from descend.data.vocabulary import BEGIN, END, PAD, SPECIAL, UNKNOWN
from descend.engine.config import build, describe

TEXTS = ["the cat sat on the mat .", "the dog sat on the log .", "a cat and a dog , and the mat"] * 5
ODD = ["", " ", "Ünïcödé ‒ 漢字 🎉\n\ttab", "\x00null", "a" * 5000]

MADE = {
    "utf8": utf8,
    "byte_pairs": lambda: byte_pairs(TEXTS, 300),
    "characters": lambda: characters(TEXTS),
    "word_pieces": lambda: word_pieces(TEXTS, 60),
    "words": lambda: words(TEXTS),
}


@pytest.mark.parametrize("name", MADE)
def test_texts_that_were_learned_come_back(name):
    codec = TextCodec(MADE[name]().to_str())
    for text in TEXTS[:3]:
        found = codec.text(codec.numbers(text))
        assert found.replace(" ", "") == text.replace(" ", "")
        if name in ("utf8", "byte_pairs", "characters"):
            assert found == text
    assert [codec.tokens.token_to_id(token) for token in SPECIAL] == [PAD, UNKNOWN, BEGIN, END]


@pytest.mark.parametrize("name", ["utf8", "byte_pairs"])
@pytest.mark.parametrize("text", ODD)
def test_bytes_know_every_text(name, text):
    codec = TextCodec(MADE[name]().to_str())
    numbers = codec.numbers(text)
    assert UNKNOWN not in numbers
    assert codec.text(numbers) == text


@pytest.mark.parametrize("name", MADE)
def test_a_special_token_written_out_is_text(name):
    codec = TextCodec(MADE[name]().to_str())
    numbers = codec.numbers("the <eos> cat <pad>")
    assert not {PAD, BEGIN, END} & set(numbers)
    if name in ("utf8", "byte_pairs"):
        assert codec.text(numbers) == "the <eos> cat <pad>"


def test_what_training_texts_do_not_show_is_unknown():
    assert TextCodec(characters(["abc"]).to_str()).numbers("abx") == [4, 5, UNKNOWN]
    codec = TextCodec(words(["to be or not to be"], least=2).to_str())
    assert codec.numbers("to see or be") == [5, UNKNOWN, UNKNOWN, 4]
    assert codec.vocabulary == 6


def test_pairs_shorten_texts_and_the_vocabulary_is_kept():
    plain, paired = TextCodec(utf8().to_str()), TextCodec(byte_pairs(TEXTS, 300).to_str())
    assert plain.vocabulary == 260
    assert paired.vocabulary <= 300
    assert len(paired.numbers(TEXTS[0])) < len(plain.numbers(TEXTS[0]))
    with pytest.raises(ValueError, match="does not hold the 256 bytes"):
        byte_pairs(TEXTS, 200)


def test_a_codec_is_plain_data_and_cuts():
    codec = TextCodec(words(TEXTS).to_str(), length=3, labels=("no", "yes"))
    again = build(describe(codec))
    assert again.numbers(TEXTS[0]) == codec.numbers(TEXTS[0])
    assert len(codec.numbers(TEXTS[0])) == 3
    assert codec.decode(torch.tensor([0.2, 0.8]))["label"] == "yes"


def test_files_are_read_and_what_is_wrong_is_named(tmp_path):
    codec = TextCodec(utf8().to_str())
    (tmp_path / "a.txt").write_text("héllo", encoding="utf-8")
    assert codec.text(codec.encode(tmp_path / "a.txt")["tokens"].tolist()) == "héllo"
    (tmp_path / "b.txt").write_text("héllo", encoding="latin-1")
    with pytest.raises(BadData, match=r"b\.txt is not utf-8 at byte 1 \(0xe9\): say which encoding"):
        codec.encode(tmp_path / "b.txt")
    latin = TextCodec(utf8().to_str(), encoding="latin-1")
    assert latin.text(latin.encode(tmp_path / "b.txt")["tokens"].tolist()) == "héllo"
    with pytest.raises(BadData, match="there is no encoding 'utf-9'"):
        TextCodec(utf8().to_str(), encoding="utf-9").encode(b"x")
    with pytest.raises(BadData, match="there is no file"):
        codec.encode(tmp_path / "c.txt")
    with pytest.raises(BadData, match="has no word"):
        codec.encode("")
