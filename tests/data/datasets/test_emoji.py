"""Pictures with captions: what is held out, what is mirrored, and what is said of broken ones."""

import json
import zipfile

import pytest
import torch
from PIL import Image

from descend.data import BadData, Batch, CaptionCodec, Flip, FlipUnless, datasets
from descend.data.codecs.caption import caption_words
from descend.data.datasets.emoji import EMOJI, Captioned, _held_out
from descend.data.tokens import words

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
SHAPES = ("square", "circle", "left arrow", "star")


@pytest.fixture
def folder(tmp_path):
    """Sixteen pictures, a file and a line each."""
    root, lines = tmp_path / "pictures", []
    root.mkdir()
    for colour, pixel in COLOURS.items():
        for shape in SHAPES:
            name = f"{colour}-{shape}.png"
            Image.new("RGBA", (8, 8), (*pixel, 255)).save(root / name)
            lines.append(json.dumps({"file": name, "caption": f"{colour} {shape}"}))
    (root / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return root


def tokenizer():
    return words([f"{colour} {shape}" for colour in COLOURS for shape in SHAPES], least=1).to_str()


def test_held_out_captions_are_new_and_their_words_are_not(real_data):
    with zipfile.ZipFile(EMOJI.find()) as archive:
        told = [json.loads(line)["caption"] for line in archive.read("captions.jsonl").decode().splitlines()]
    captions = [caption_words(caption) for caption in told]
    held = _held_out(captions, [str(row) for row in range(len(captions))], 0)
    assert int(held.sum()) == 139
    learned = [caption for caption, out in zip(captions, held.tolist(), strict=True) if not out]
    known = {word for caption in learned for word in caption}
    asked = [caption for caption, out in zip(captions, held.tolist(), strict=True) if out]
    assert all(len(caption) >= 2 and set(caption) <= known for caption in asked)
    assert not set(asked) & set(learned)
    assert torch.equal(held, _held_out(captions, [str(row) for row in range(len(captions))], 0))
    assert not torch.equal(held, _held_out(captions, [str(row) for row in range(len(captions))], 1))


@pytest.mark.slow
def test_emoji_are_on_white_and_whole(real_data):
    splits = datasets.emoji()
    assert (len(splits.train), splits.valid, len(splits.test)) == (1247, None, 139)
    x = splits.train.tensors["x"]
    assert x.shape[1:] == (3, 64, 64)
    assert x[:, :, 0, 0].median() == 1


def test_one_caption_or_one_picture_is_never_on_both_sides():
    captions = [("red", "hat"), ("red", "hat"), ("red", "cap"), ("blue", "hat"), ("blue", "cap"), ("hat", "cap")] * 5
    files = [f"{row % 20}.png" for row in range(len(captions))]
    for key in range(5):
        held = _held_out(captions, files, key).tolist()
        for names in (captions, files):
            sides = {name: {held[row] for row in range(len(held)) if names[row] == name} for name in set(names)}
            assert all(len(side) == 1 for side in sides.values())


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_a_zip_of_ones_own(folder, packed):
    path = folder
    if packed:
        path = folder.with_suffix(".zip")
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.iterdir():
                archive.write(file, file.name)
    read = []

    def reader(tokens, kept):
        read.append(len(tokens))
        return tokens[..., None].float().expand(*tokens.shape, 5)

    splits = datasets.captioned(path, 4, tokenizer(), reader)
    assert isinstance(splits.codec, CaptionCodec)
    assert (len(splits.train), len(splits.test)) == (14, 2)
    assert read == [16]  # each caption once
    for part in (splits.train, splits.test):
        for row in range(len(part)):
            one = {name: tensor[row] for name, tensor in part.tensors.items()}
            colour, shape = splits.codec.caption(one["tokens"], one["kept"]).split(" ", 1)
            assert one["x"][:, 0, 0].tolist() == [level / 255 for level in COLOURS[colour]]
            assert bool(one["sided"]) == ("left" in shape)
            assert torch.equal(one["words"][:, 0], one["tokens"].float())
    assert set(splits.codec.known) == {*COLOURS, "square", "circle", "left", "arrow", "star"}
    plain = datasets.captioned(path, 4)
    assert set(plain.train.tensors) == {"x"}
    assert torch.equal(plain.test.tensors["x"], splits.test.tensors["x"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 17 of captions.jsonl is '{': write"),
        ('{"file": "a.png"}', "line 17 of captions.jsonl is"),
        ('{"file": 3, "caption": "red"}', "line 17 of captions.jsonl is"),
        ("[1]", "line 17 of captions.jsonl is"),
        ('{"file": "a.png", "caption": " "}', "line 17 of captions.jsonl: the caption ' ' has no word"),
        ('{"file": "a.png", "caption": "red hat"}', "the picture 'a.png', which is not there"),
        ('{"file": "../pictures/red-star.png", "caption": "red hat"}', "which is not there"),
        ('{"file": "/etc/passwd", "caption": "red hat"}', "which is not there"),
        ('{"file": "captions.jsonl", "caption": "red hat"}', "captions.jsonl is no picture that can be read"),
    ],
)
def test_broken_lines_are_named(folder, line, message):
    with (folder / "captions.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(BadData, match=message.replace("[", r"\[")):
        datasets.captioned(folder, 4)


def test_broken_places_are_named(folder, tmp_path):
    with pytest.raises(BadData, match="there is no folder or zip file"):
        datasets.captioned(tmp_path / "none")
    torn = tmp_path / "torn.zip"
    torn.write_bytes(b"PK no")
    with pytest.raises(BadData, match="is no zip file, or torn"):
        datasets.captioned(torn)
    with pytest.raises(BadData, match=r"holds no captions\.jsonl"):
        datasets.captioned(tmp_path)
    lines = (folder / "captions.jsonl").read_text()
    (folder / "captions.jsonl").write_text("\n")
    with pytest.raises(BadData, match="is empty: write a line for each picture"):
        datasets.captioned(folder)
    (folder / "captions.jsonl").write_text(lines.splitlines()[0])
    with pytest.raises(BadData, match="of 1 captions none can be held out"):
        datasets.captioned(folder)


@pytest.mark.parametrize(
    ("caption", "sided"),
    [("left arrow", True), ("rightwards hand", True), ("bright star", False), ("one o’clock", True)],
)
def test_what_must_not_be_mirrored(caption, sided):
    assert Captioned("a.png", caption).sided == sided


def test_flips_spare_what_is_sided():
    x, keys = torch.rand(40, 3, 4, 5), torch.arange(40)
    sided = torch.arange(40) % 2 == 0
    flipped, spared = Flip()(Batch(x=x), keys), FlipUnless()(Batch(x=x, sided=sided), keys)
    assert torch.equal(spared["x"][sided], x[sided])
    assert torch.equal(spared["x"][~sided], flipped["x"][~sided])
    assert not torch.equal(spared["x"][~sided], x[~sided])
    with pytest.raises(ValueError, match="the batch has no 'sided'"):
        FlipUnless()(Batch(x=x), keys)
