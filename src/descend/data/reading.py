"""Files of text, read with errors that say where."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

from descend.data.errors import BadData


def read_text(raw: str | bytes | Path, encoding: str = "utf-8") -> str:
    """A text as it is, or that of a file; .gz is unpacked.

    Raises:
        BadData: the file cannot be read, is not in this encoding, or is no text, naming the byte.
    """
    if isinstance(raw, str):
        return raw
    name = "the text" if isinstance(raw, bytes) else str(raw)
    try:
        content = raw if isinstance(raw, bytes) else raw.read_bytes()
        content = gzip.decompress(content) if name.endswith(".gz") else content
    except FileNotFoundError:
        raise BadData(f"there is no file {name}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadData(f"{name} cannot be read ({error})") from None
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise BadData(
            f"{name} is not {encoding} at byte {error.start:,} (0x{content[error.start]:02x}): say which encoding it "
            "is in, as --encoding latin-1, or save it as UTF-8"
        ) from None
    except LookupError:
        raise BadData(f"there is no encoding {encoding!r}: utf-8, utf-16, latin-1 and cp1252 are common ones") from None
    if "\0" in text:
        place = len(text[: text.index("\0")].encode(encoding))
        raise BadData(
            f"{name} has a null byte, number {place:,}, so it is no {encoding} text: if it is UTF-16, say "
            "--encoding utf-16"
        )
    return text


def written(value: Any, where: str) -> str:
    """What stands in one place of a table, as a text.

    Raises:
        BadData: nothing stands there, or neither a text nor a number.
    """
    if value is None or value != value or isinstance(value, list | tuple | dict):  # not a number is not itself
        what = "holds nothing" if value is None or value != value else f"holds a {type(value).__name__}"
        raise BadData(f"{where} {what}, where a text is looked for: fill it in, or leave the row out")
    return str(value)


def read_lines(raw: str | bytes | Path, encoding: str = "utf-8") -> list[str]:
    """Its lines, ended by \\n or \\r\\n alone: other separators of Unicode may stand inside one."""
    lines = [line.removesuffix("\r") for line in read_text(raw, encoding).split("\n")]
    return lines[:-1] if lines[-1] == "" else lines
