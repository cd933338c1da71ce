"""Texts as data: padded, ordered by length, parallel, and refused where they do not fit."""

import gzip

import numpy as np
import pytest
import torch

from descend.data import BadData, ByLength, Loader, StoryCodec, TextCodec, datasets
from descend.data.datasets import Texts, Windows
from descend.data.tokens import characters


def test_windows_are_all_stretches_and_the_token_behind():
    row = np.arange(20, dtype=np.uint16)
    data = Windows(row, 5)
    assert len(data) == 15
    batch = data.gather(torch.tensor([0, 14]))
    assert batch["tokens"].tolist() == [[0, 1, 2, 3, 4], [14, 15, 16, 17, 18]]
    assert batch["target"].tolist() == [[1, 2, 3, 4, 5], [15, 16, 17, 18, 19]]
    apart = Windows(row, 5, 5)
    assert len(apart) == 3
    told = torch.cat([apart.gather(torch.tensor([i]))["target"][0] for i in range(3)])
    assert told.tolist() == list(range(1, 16))
    assert data.fingerprint() != apart.fingerprint()
    with pytest.raises(BadData, match="too few for one stretch of 20"):
        Windows(row, 20)


def test_a_corpus_may_stay_in_its_file(tmp_path):
    row = np.memmap(tmp_path / "row", np.uint16, "w+", shape=(5000,))
    row[:] = np.arange(5000) % 97
    row.flush()
    mapped = Windows(np.memmap(tmp_path / "row", np.uint16, "r"), 64)
    held = Windows(np.arange(5000, dtype=np.uint16) % 97, 64)
    assert mapped.fingerprint() == held.fingerprint()
    assert torch.equal(Loader(mapped, 8).batch(3)["target"], Loader(held, 8).batch(3)["target"])


def test_a_text_is_parted_by_its_places(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    (tmp_path / "letters.txt").write_text(text)
    data = datasets.text(tmp_path / "letters.txt", length=10, valid=0.1, test=0.1)
    assert isinstance(data.codec, TextCodec)
    assert len(data.train) == 800 - 10
    assert data.codec.text(data.test.gather(torch.tensor([0]))["tokens"][0].tolist()) == text[900:910]
    assert data.codec.vocabulary == 30
    (tmp_path / "long.txt").write_text(text * 20)
    assert len(datasets.text(tmp_path / "long.txt", length=10).train.row) == 18_000  # a codec's length cuts no corpus
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(BadData, match="is empty"):
        datasets.text(tmp_path / "empty.txt")


def test_an_end_that_is_there_is_not_put_again():
    data = Texts([[5], [6]], [[7, 9], [8]], end=9)
    assert data.gather(torch.tensor([0, 1]))["target"].tolist() == [[7, 9], [8, 9]]


def test_texts_are_padded_to_the_longest_of_their_batch():
    data = Texts([[5, 6, 7], [8], [9, 5]], [1, 0, 1])
    batch = data.gather(torch.tensor([1, 2]))
    assert batch["tokens"].tolist() == [[8, 0], [9, 5]]
    assert batch["kept"].tolist() == [[True, False], [True, True]]
    assert batch["target"].tolist() == [0, 1]
    pairs = Texts([[5, 6, 7], [8]], [[4], [5, 6]])
    assert pairs.gather(torch.tensor([0, 1]))["target"].tolist() == [[4, 3, -100], [5, 6, 3]]
    assert pairs.lengths.tolist() == [5, 4]
    assert Texts([[5], [6]], np.array([1, 0])).targets().tolist() == [1, 0]
    with pytest.raises(BadData, match="text 1 has no token"):
        Texts([[1], []], [0, 1])
    with pytest.raises(BadData, match="2 texts have 1 answers"):
        Texts([[1], [2]], [0])


def test_batches_of_one_length_pad_little():
    lengths = torch.randint(1, 60, (1003,), generator=torch.Generator().manual_seed(0))
    order = ByLength(lengths, 16)
    assert order(1, 2).sort().values.tolist() == list(range(1003))
    assert torch.equal(order(1, 2), order(1, 2))
    assert not torch.equal(order(1, 2), order(1, 3))
    assert order.padding() < 0.05
    assert ByLength(lengths, 16, pool=1).padding() > 0.3
    longest = [int(lengths[part].max()) for part in order(0, 0).split(16)]
    assert longest != sorted(longest)  # the batches themselves are shuffled
    assert len(order(0, 0)[-11:]) == 11


def test_lines_of_two_files_belong_together(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n\nfour\n")
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("eins\nzwei\ndrei\nvier\n")
    found = datasets.parallel(tmp_path / "a.txt", tmp_path / "b.txt.gz")
    assert found == [("one", "eins"), ("two", "zwei"), ("four", "vier")]
    (tmp_path / "c.txt").write_text("eins\n")
    with pytest.raises(BadData, match=r"has 4 lines and .*c\.txt 1: each line must be the other's"):
        datasets.parallel(tmp_path / "a.txt", tmp_path / "c.txt")


def test_labels_are_those_of_training():
    rows = [("a fine film", "good"), ("a bad film", "bad")] * 4
    data = datasets.labelled([rows, rows[:2], rows[:2]])
    assert data.codec.labels == ("bad", "good")
    assert data.classes == 2
    with pytest.raises(BadData, match="the test part has the label 'odd'"):
        datasets.labelled([rows, rows, [("x", "odd")]])
    codec = TextCodec(characters(["abc"]).to_str())
    assert datasets.labelled([rows, rows, rows], codec).codec.tokenizer == codec.tokenizer


def test_what_is_cut_is_said_and_an_answer_keeps_room_for_its_end():
    rows = [("a b c d e", "a b c d e"), ("a", "b c d")] * 2
    codec = TextCodec(characters(["abcde "]).to_str(), length=6)
    with pytest.warns(UserWarning, match="are cut") as said:
        data = datasets.pairs([rows, rows, rows], codec)
    assert [str(one.message) for one in said] == [
        "pairs: 6 of 12 texts have more than 6 tokens, and are cut",
        "pairs: 6 of 12 answers have more than 6 tokens, and are cut",
    ]
    assert [len(answer) for answer in data.train.answers[:2]] == [6, 6]
    assert [answer[-1] for answer in data.train.answers[:2]] == [3, 3]


@pytest.mark.parametrize("labels", [False, True])
def test_rows_of_one_text_stay_together(labels):
    rows = [(f"text {i % 40}", "xy"[i % 2]) for i in range(120)]
    parts = datasets.by_key(rows, labels=labels)
    assert sorted(row for part in parts for row in part) == sorted(rows)
    texts = [{text for text, _ in part} for part in parts]
    assert all(not texts[a] & texts[b] for a, b in ((0, 1), (0, 2), (1, 2)))
    words = [[(str(i % 2), "n"), (str(i), "n")] for i in range(20)]  # they begin alike, and are others
    assert [len(part) for part in datasets.by_key(words)] == [16, 2, 2]


def test_stories_are_read_from_their_end():
    codec = StoryCodec(("a", "b", "c"), ("a",), 2, 3)
    found = codec.encode({"story": "A b. B c. C a b a.", "question": "b?"})
    assert found["story"].tolist() == [[3, 1, 2], [2, 3, 0]]
    assert found["question"].tolist() == [2, 0, 0]
    with pytest.raises(BadData, match="the words d were never learned"):
        codec.encode({"story": "a d.", "question": "b?"})
    with pytest.raises(BadData, match="give a story and a question"):
        codec.encode("a b c")


@pytest.mark.slow
def test_real_texts(real_data):
    data = datasets.sst2()
    assert [len(part) for part in (data.train, data.valid, data.test)] == [6920, 872, 1821]
    data = datasets.multi30k()
    assert [len(part) for part in (data.train, data.valid, data.test)] == [29_000, 1014, 1000]
    data = datasets.babi(2)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [9000, 1000, 1000]
    with pytest.raises(BadData, match="3 lacks the one to learn from"):
        datasets.babi(3)
