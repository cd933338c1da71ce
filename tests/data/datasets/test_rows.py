"""Texts in the files that people keep them in, and what is wrong with those."""

import gzip
import json

import numpy as np
import pytest
import torch

from descend.data import AnswerCodec, BadData, TagCodec, TextCodec, datasets
from descend.data.reading import read_lines, read_text
from descend.data.tokens import word_pieces, words
from descend.data.vocabulary import END


def test_rows_of_every_kind_of_file_are_the_same(tmp_path):
    meant = [("a fine, long film", "good"), ("never\u2028again", "bad")]
    with (tmp_path / "a.jsonl").open("w") as file:
        file.writelines(json.dumps({"text": t, "label": n}, ensure_ascii=False) + "\n" for t, n in meant)
    (tmp_path / "a.csv").write_text('label,text\ngood,"a fine, long film"\nbad,never\u2028again\n', encoding="utf-8")
    for name in ("good", "bad"):
        (tmp_path / "a" / name).mkdir(parents=True)
    for place, (text, name) in enumerate(meant):
        (tmp_path / "a" / name / f"{place}.txt").write_text(text, encoding="utf-8")
    assert datasets.rows(tmp_path / "a.jsonl", "text", "label") == meant
    assert datasets.rows(tmp_path / "a.csv", "text", "label") == meant
    assert sorted(datasets.rows(tmp_path / "a", "text", "label")) == sorted(meant)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n', "line 1, has no 'label': it has text"),
        ('{"text": "a", "label": "b"}\n\n[1]\n', "line 3, has no 'text': it has list"),
        ("{\n", "line 1, is no JSON"),
        ('{"text": "a", "label": null}\n', "line 1, label holds nothing, where a text is looked for"),
        ('\n{"text": ["a"], "label": "b"}\n', "line 2, text holds a list"),
    ],
)
def test_a_broken_line_is_named(content, message, tmp_path):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(BadData, match=message):
        datasets.rows(tmp_path / "a.jsonl", "text", "label")


def test_a_missing_column_and_an_empty_folder_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("text,topic\na,b\n")
    with pytest.raises(BadData, match="has no column 'label': it has text, topic"):
        datasets.rows(tmp_path / "a.csv", "text", "label")
    (tmp_path / "none").mkdir()
    with pytest.raises(BadData, match="holds no text"):
        datasets.rows(tmp_path / "none", "text", "label")


def test_files_that_are_no_text_are_refused_by_their_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("na\u00efve".encode("latin-1"))
    with pytest.raises(BadData, match=r"a\.txt is not utf-8 at byte 2 \(0xef\): say which encoding"):
        read_text(path)
    assert read_text(path, "latin-1") == "na\u00efve"
    path.write_bytes(b"a\0b")
    with pytest.raises(BadData, match="has a null byte, number 1"):
        read_text(path)
    path.write_text("\ufeffa\r\nb\x0bc\n", encoding="utf-8", newline="")
    assert read_lines(path) == ["a", "b\x0bc"]
    with pytest.raises(BadData, match="there is no encoding 'utf-9'"):
        read_text(path, "utf-9")
    with pytest.raises(BadData, match="there is no file"):
        read_text(tmp_path / "none.txt")
    (tmp_path / "torn.txt.gz").write_bytes(b"\x1f\x8b\x08torn")
    with pytest.raises(BadData, match="cannot be read"):
        read_text(tmp_path / "torn.txt.gz")
    whole = bytearray(gzip.compress(b"a text of some words. " * 400))
    whole[len(whole) // 2] ^= 255
    (tmp_path / "torn.txt.gz").write_bytes(whole)
    with pytest.raises(BadData, match="cannot be read"):
        read_text(tmp_path / "torn.txt.gz")


def test_a_corpus_is_packed_into_files_that_are_only_looked_into(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path / "cache"))
    for number in range(12):
        (tmp_path / "texts" / str(number % 3)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / str(number % 3) / f"{number}.txt").write_text(f"text number {number}. " * 20)
    data = datasets.corpus(tmp_path / "texts", length=16, held=0.25, vocabulary=300)
    assert isinstance(data.train.row, np.memmap)
    tokens = np.concatenate([part.row for part in (data.train, data.valid, data.test)])
    assert (tokens == END).sum() == 12
    told = [data.codec.tokens.decode(part.tolist()) for part in np.split(tokens, np.nonzero(tokens == END)[0] + 1)]
    assert sorted(told)[1:] == sorted(f"text number {number}. " * 20 for number in range(12))
    made = sorted((tmp_path / "cache" / "tokens").iterdir())
    assert len(made) == 3
    again = datasets.corpus(tmp_path / "texts", length=16, held=0.25, vocabulary=300)
    assert again.fingerprint() == data.fingerprint()
    assert sorted((tmp_path / "cache" / "tokens").iterdir()) == made
    (tmp_path / "texts" / "strange.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(BadData, match="is not utf-8 at byte 0"):
        datasets.corpus(tmp_path / "texts", length=16, held=0.25, vocabulary=300)
    assert not list((tmp_path / "cache" / "tokens").glob(".*"))  # nothing half done stays
    with pytest.raises(BadData, match="holds 0 files"):
        datasets.corpus(tmp_path / "cache")


def test_a_corpus_of_three_files_has_one_for_each_part(tmp_path, monkeypatch):
    monkeypatch.setenv("DESCEND_CACHE", str(tmp_path / "cache"))
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("\ufeff" + "text of some words. " * 40, encoding="utf-8")
    data = datasets.corpus(tmp_path, length=16, vocabulary=300)
    assert all(part is not None and len(part) for part in (data.train, data.valid, data.test))
    assert "\ufeff" not in data.codec.tokens.decode(data.test.row.tolist())
    other = TextCodec(data.codec.tokenizer, end=1)
    again = datasets.corpus(tmp_path, other, length=16)
    assert again.train.row[-1] == 1  # this codec's own end
    (tmp_path / "0.txt").write_bytes("plain".encode("utf-16-le"))
    with pytest.raises(BadData, match="has a null byte"):
        datasets.corpus(tmp_path, length=16, vocabulary=300)


def test_a_table_may_be_in_another_encoding(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\ngrößer,gut\n".encode("latin-1"))
    assert datasets.rows(path, "text", "label", "latin-1") == [("größer", "gut")]
    with pytest.raises(BadData, match="is not utf-8 at byte"):
        datasets.rows(path, "text", "label")


KEPT = {"clean_text": True, "handle_chinese_chars": False, "strip_accents": False, "lowercase": True}
CONLL = "-DOCSTART- -X- O\n\nMary NNP B-PER\nwent VBD O\nhome NN O\n\nJohn NNP B-PER\nslept VBD O\n"


def test_labelled_words_are_read_and_each_word_has_one_label(tmp_path):
    (tmp_path / "a.txt").write_text(CONLL)
    texts = datasets.conll(tmp_path / "a.txt")
    assert texts[1] == [("John", "B-PER"), ("slept", "O")]
    assert datasets.conll(tmp_path / "a.txt", column=1)[0][1] == ("went", "VBD")
    codec = TagCodec(word_pieces(["ma ry went ho me jo hn s lept"], 30).to_str())
    data = datasets.tagged([texts, texts, texts], codec)
    batch = data.train.gather(torch.tensor([0, 1]))
    assert batch["target"].shape == batch["tokens"].shape
    labelled = batch["target"] >= 0
    assert labelled.sum(1).tolist() == [3, 2]
    assert [data.codec.labels[i] for i in batch["target"][labelled].tolist()] == ["B-PER", "O", "O", "B-PER", "O"]
    hidden = [[("Mary", "B-PER"), ("\u200b", "O"), ("home", "O")]]
    silent = TagCodec(json.dumps({**json.loads(codec.tokenizer), "normalizer": {"type": "BertNormalizer", **KEPT}}))
    _, first = silent.pieces([word for word, _ in hidden[0]])
    assert first[1] is None  # a word without a token leaves the labels of the others where they are
    batch = datasets.tagged([texts, texts, hidden], silent).test.gather(torch.tensor([0]))
    assert [silent.answering(data.codec.labels).labels[i] for i in batch["target"][batch["target"] >= 0]] == [
        "B-PER",
        "O",
    ]
    (tmp_path / "b.txt").write_text("Mary NNP\nwent\n")
    with pytest.raises(BadData, match="line 2: 'went' has no label"):
        datasets.conll(tmp_path / "b.txt")
    with pytest.raises(BadData, match="line 1: 'Mary NNP' has 2 columns, and 2 is asked for"):
        datasets.conll(tmp_path / "b.txt", column=2)
    with pytest.raises(BadData, match="the test part has the label 'X'"):
        datasets.tagged([texts, texts, [[("a", "X")]]], codec)


def test_questions_know_where_their_answers_stand(tmp_path):
    text, question = "The cat sat on the mat.", "Where did the cat sit?"
    codec = AnswerCodec(words([f"{text} {question}"], least=1).to_str(), 40)
    first, last = codec.span(text, question, 12, 22)
    given = codec.encode(f"{text} {question}")
    assert given["segments"].tolist() == [0] * 7 + [1] * 7
    assert codec.tokens.decode(given["tokens"][first : last + 1].tolist()) == "on the mat"
    assert codec.answer(f"{text} {question}", torch.tensor([first, last])) == {"text": "on the mat"}
    assert AnswerCodec(codec.tokenizer, 10).span(text, question, 12, 22) is None
    with pytest.raises(BadData, match="leaves no room"):
        AnswerCodec(codec.tokenizer, 6).encode(f"{text} {question}")
    squad = {"context": text, "qas": [{"question": question, "answers": [{"text": "mat", "answer_start": 4}]}]}
    (tmp_path / "a.json").write_text(json.dumps({"data": [{"paragraphs": [squad]}]}))
    with pytest.raises(BadData, match="'mat' does not stand at 4"):
        datasets.squad(tmp_path / "a.json")
    (tmp_path / "a.json").write_text('{"date": []}')
    with pytest.raises(BadData, match="is not of SQuAD's form"):
        datasets.squad(tmp_path / "a.json")


def test_texts_and_questions_in_a_file(tmp_path):
    codec = AnswerCodec(words(["a"], least=1).to_str())
    (tmp_path / "a.txt").write_text("Mary went home.\n\nWhere is Mary?\nJohn slept. Who slept?\n")
    found = codec.parts(tmp_path / "a.txt")
    assert [text for _, text in found] == ["Mary went home.\nWhere is Mary?", "John slept. Who slept?"]
    assert [name for name, _ in found] == [f"{tmp_path}/a.txt:1", f"{tmp_path}/a.txt:4"]
    (tmp_path / "a.txt").write_text("Mary went home.\n")
    with pytest.raises(BadData, match="from line 1 on has no question"):
        codec.parts(tmp_path / "a.txt")
