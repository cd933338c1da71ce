"""Annotated pictures as splits: all brought to one size, their boxes with them."""

from __future__ import annotations

import warnings
import zipfile

import torch

from descend.data.codecs import BoxCodec, ImageCodec
from descend.data.codecs.box import filled
from descend.data.codecs.image import size_of
from descend.data.data import Tensors
from descend.data.datasets.boxes import Boxed, voc
from descend.data.datasets.files import Official
from descend.data.errors import BadData
from descend.data.splits import Splits

BCCD = Official(
    "bccd.zip",
    "",
    7_789_171,
    "471d6c00a1457bfc5a43fec462adcfb0b923a825cda908214719b535e1b7bd01",
)
"""BCCD/JPEGImages, Annotations and ImageSets; nobody serves it in one piece."""


def boxed(
    parts: tuple[list[Boxed], list[Boxed], list[Boxed]],
    height: int,
    width: int,
    channels: int = 3,
    like: ImageCodec | None = None,
    name: str = "boxes",
) -> Splits:
    """Pictures for training, validation and test, as `voc`, `coco` and `yolo` read them.

    What is left out (pictures that cannot be read, things of a kind that no training picture shows) is named in one
    warning; so is a part without a box. A picture may have none.

    Args:
        height, width: to which pictures are brought: scaled to cover them, cut in the middle.
        channels: 1 (grey) or 3 (RGB).
        like: standardise as this codec does; as fits the training pictures if None.

    Raises:
        BadData: no training picture has a box, or a part has no picture that can be read.
    """
    labels = tuple(sorted({label for picture in parts[0] for label in picture.labels}))
    if not labels:
        raise BadData(f"{name}: none of {len(parts[0])} training pictures has a box: there is nothing to learn")
    plain, odd, read = BoxCodec(height, width, channels, labels=labels), [], []
    for part, word in zip(parts, ("training", "validation", "test"), strict=True):
        pixels, rows, kinds = [], [], []
        for picture in part:
            try:
                place = picture.place
                raw = place.read_bytes() if isinstance(place, zipfile.Path) else place
                values = plain.pixels(raw)
                size, said = size_of(raw), (picture.width, picture.height)
                if size != said:
                    raise BadData(f"it is {size[0]}×{size[1]}, and its boxes were drawn on {said[0]}×{said[1]}")
                pixels.append(values)
            except BadData as error:
                odd.append(f"{picture.place.name}: {error}")
                continue
            strange = set(picture.labels) - set(labels)
            odd += (
                [f"{picture.place.name}: {', '.join(sorted(strange))} stands in no training picture"] if strange else []
            )
            known = [place for place, label in enumerate(picture.labels) if label in labels]
            boxes = torch.tensor(picture.boxes).view(-1, 4)[known]
            moved = plain.boxes(boxes, picture.width, picture.height)
            seen = [place for place, box in enumerate(moved.tolist()) if box[0] < box[2] and box[1] < box[3]]
            rows.append(moved[seen])
            kinds.append([labels.index(picture.labels[known[place]]) for place in seen])
        if not pixels:
            why = f": {odd[-1]}" if odd else ""
            raise BadData(f"{name}: there is no {word} picture that can be read{why}")
        if not any(kinds) and word == "training":
            raise BadData(f"{name}: no training picture that can be read has a box{': ' + odd[-1] if odd else ''}")
        if not any(kinds):
            odd.append(f"no {word} picture has a box")
        read.append((torch.stack(pixels), *filled(rows, kinds)))
    if odd:
        more = "; …" if len(odd) > 3 else ""
        warnings.warn(f"{name}: {len(odd)} things are odd: {'; '.join(odd[:3])}{more}", stacklevel=2)
    fitted = BoxCodec.fit(read[0][0]) if like is None else like
    codec = BoxCodec(height, width, channels, fitted.mean, fitted.std, labels)
    train, valid, test = (Tensors(x=codec.standardise(x), boxes=b, target=t) for x, b, t in read)
    return Splits(train, valid, test, codec, name)


def bccd(height: int = 240, width: int = 320, like: ImageCodec | None = None) -> Splits:
    """364 pictures of blood, 640×480, with red cells, white cells and platelets in boxes, in the data set's own parts
    (BCCD, github.com/Shenggan/BCCD_Dataset)."""
    root = zipfile.Path(BCCD.find()) / "BCCD"
    with warnings.catch_warnings(action="ignore"):  # some boxes end a pixel outside
        parts = voc(root, "train"), voc(root, "val"), voc(root, "test")
    return boxed(parts, height, width, 3, like, "bccd")
