"""Pictures with boxes around things, as three formats write them down: VOC (XML), COCO (JSON), YOLO (text).

All are read into `Boxed`: a picture's place, and its boxes in pixels. What cannot be right is named, in one warning: a
box that reaches out of its picture is cut, one without area left out, a picture that is not there left out.
"""

from __future__ import annotations

import json
import math
import warnings
import xml.etree.ElementTree as tree
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from descend.data.codecs.image import size_of
from descend.data.errors import BadData

Place = Path | zipfile.Path
"""A file or folder, also inside a zip archive, which is read without being unpacked."""


@dataclass(frozen=True)
class Boxed:
    """A picture and the things in it.

    Attributes:
        place: of the picture.
        width, height: in pixels.
        boxes: left, top, right, bottom of each thing, in pixels from the upper left corner.
        labels: their classes' names.
    """

    place: Place
    width: int
    height: int
    boxes: tuple[tuple[float, float, float, float], ...]
    labels: tuple[str, ...]


@dataclass
class _Odd:
    """What was mended or left out."""

    said: list[str] = field(default_factory=list)

    def tell(self, what: Place) -> None:
        if self.said:
            many = f"{len(self.said)} things are odd" if len(self.said) > 1 else "one thing is odd"
            more = "; …" if len(self.said) > 3 else ""
            warnings.warn(f"{what}: {many}: {'; '.join(self.said[:3])}{more}", stacklevel=4)


def voc(folder: Place, part: str | None = None) -> list[Boxed]:
    """``folder/Annotations/*.xml`` and ``folder/JPEGImages/``; with ``part``, those that ImageSets/Main/PART.txt names
    (Everingham et al. 2010).

    Raises:
        BadData: nothing is there, an annotation cannot be read, or a part is not listed.
    """
    if part is None:
        files = sorted((p for p in _listed(folder / "Annotations") if p.name.endswith(".xml")), key=lambda p: p.name)
    else:
        listing = folder / "ImageSets" / "Main" / f"{part}.txt"
        if not listing.is_file():
            found = ", ".join(sorted(p.name[:-4] for p in _listed(folder / "ImageSets" / "Main")))
            raise BadData(f"there is no {listing}: parts are {found}")
        names = [line.split()[0] for line in _text_of(listing).splitlines() if line.strip()]
        files = [folder / "Annotations" / f"{name}.xml" for name in names]
    odd, found = _Odd(), []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
            if "<!DOCTYPE" in text or "<!ENTITY" in text:
                raise BadData(f"{file} declares entities, which an annotation has no need of: leave it out")
            root = tree.fromstring(text)
            size = [int(float(_text(root, f"size/{side}"))) for side in ("width", "height")]
            name = root.findtext("filename") or ""
            things = [
                (_text(thing, "name"), [float(_text(thing, f"bndbox/{edge}")) for edge in _EDGES])
                for thing in root.iter("object")
            ]
        except (OSError, KeyError, UnicodeDecodeError, tree.ParseError, ValueError, OverflowError) as error:
            raise BadData(f"{file} cannot be read as a VOC annotation ({error}): mend it or leave it out") from None
        place = folder / "JPEGImages" / (name if "." in name else f"{file.name[:-4]}.jpg")
        _add(found, odd, place, size[0], size[1], things)
    odd.tell(folder)
    return _some(found, folder)


_EDGES = ("xmin", "ymin", "xmax", "ymax")


def coco(file: Place, pictures: Place) -> list[Boxed]:
    """One JSON file with ``images``, ``annotations`` (boxes as left, top, width, height) and ``categories``, and a
    folder of pictures (Lin et al. 2014).

    Raises:
        BadData: it is no such file, or an annotation names a picture or a category that it does not list.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        names = {each["id"]: str(each["name"]) for each in content["categories"]}
        listed = {each["id"]: each for each in content["images"]}
        sizes = {key: (int(each["width"]), int(each["height"])) for key, each in listed.items()}
        places = {key: pictures / str(each["file_name"]) for key, each in listed.items()}
        things: dict[Any, list[tuple[str, list[float]]]] = {key: [] for key in listed}
        odd, crowds = _Odd(), 0
        for each in content["annotations"]:
            if each["category_id"] not in names:
                raise BadData(
                    f"{file}: annotation {each.get('id')} is of category {each['category_id']}, which is none"
                )
            if each["image_id"] not in listed:
                raise BadData(
                    f"{file}: annotation {each.get('id')} is of picture {each['image_id']}, which is not there"
                )
            if each.get("iscrowd"):
                crowds += 1
                continue
            left, top, width, height = (float(number) for number in each["bbox"])
            things[each["image_id"]].append((names[each["category_id"]], [left, top, left + width, top + height]))
    except (OSError, KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, BadData):
            raise
        raise BadData(f"{file} is no COCO file ({type(error).__name__}: {error}): give the annotations' JSON") from None
    if crowds:
        odd.said.append(f"{crowds} boxes around crowds were left out, as they are no single things")
    found: list[Boxed] = []
    for key in listed:
        _add(found, odd, places[key], *sizes[key], things[key])
    odd.tell(file)
    return _some(found, file)


def yolo(pictures: Place, texts: Place, names: Iterable[str]) -> list[Boxed]:
    """A text file for each picture, a line for each thing: number of its class, then the middle and the size of its box
    as shares of the picture's width and height (Redmon et al. 2016). A picture without a file has no thing in it.

    Args:
        pictures, texts: folders.
        names: of the classes, by their numbers.

    Raises:
        BadData: a line is none of these, or its class has no name.
    """
    names, odd, found = tuple(names), _Odd(), []
    for picture in sorted(_listed(pictures), key=lambda p: p.name):
        try:
            width, height = size_of(picture.read_bytes() if isinstance(picture, zipfile.Path) else picture)
        except BadData as error:
            odd.said.append(f"{picture}: {error}" if isinstance(picture, zipfile.Path) else str(error))
            continue
        text = texts / f"{picture.name.rpartition('.')[0]}.txt"
        lines = _text_of(text).splitlines() if text.is_file() else []
        things = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                word, *shares = line.split()
                kind, (x, y, w, h) = int(word), (float(share) for share in shares)
            except ValueError:
                raise BadData(f"{text}, line {number} is {line!r}: give class x y width height") from None
            if not 0 <= kind < len(names):
                said = f"class {kind} has no name; there are 0 … {len(names) - 1}"
                raise BadData(f"{text}, line {number}: {said}")
            edges = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
            things.append((names[kind], edges))
        _add(found, odd, picture, width, height, things)
    odd.tell(pictures)
    return _some(found, pictures)


def _add(
    found: list[Boxed], odd: _Odd, place: Place, width: int, height: int, things: list[tuple[str, list[float]]]
) -> None:
    """One more picture, with the boxes of it that are boxes."""
    if not place.is_file():
        odd.said.append(f"{place} is not there")
        return
    boxes, labels = [], []
    for label, (left, top, right, bottom) in things:
        if not all(math.isfinite(edge) for edge in (left, top, right, bottom)):
            raise BadData(f"{place.name}: a {label} stands at {left}, {top}, {right}, {bottom}: mend its annotation")
        cut = (max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height)))
        if cut[0] >= cut[2] or cut[1] >= cut[3]:
            odd.said.append(f"{place.name}: a {label} at {left:g}, {top:g}, {right:g}, {bottom:g} has no area inside")
            continue
        # Annotations count pixels from 0 or from 1, so that one pixel beyond is no mistake.
        if min(left, top) < -1 or right > width + 1 or bottom > height + 1:
            odd.said.append(f"{place.name}: a {label} reaches out of the picture and was cut")
        boxes.append(cut)
        labels.append(label)
    found.append(Boxed(place, width, height, tuple(boxes), tuple(labels)))


def _listed(folder: Place) -> list[Any]:
    if not folder.is_dir():
        raise BadData(f"there is no folder {folder}")
    return [place for place in folder.iterdir() if place.is_file() and not place.name.startswith(".")]


def _text_of(file: Place) -> str:
    """Whole, without the mark that some editors begin files with."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadData(f"{file} is no UTF-8 text ({error}): save it anew") from None


def _some(found: list[Boxed], what: Place) -> list[Boxed]:
    if not found:
        raise BadData(f"{what} holds no annotated picture")
    return found


def _text(element: tree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f"it has no {path}")
    return text.strip()
