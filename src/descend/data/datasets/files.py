"""Official files: in ``$DESCEND_DATA``, else in the cache, else downloaded, checked by size and hash."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from descend.data.errors import BadData


@dataclass(frozen=True)
class Official:
    """One file as its project publishes it.

    Attributes:
        path: below ``$DESCEND_DATA`` and below the cache.
        url: where it is downloaded from; empty where nobody serves it.
        size: in bytes.
        sha256: of all of it.
    """

    path: str
    url: str
    size: int
    sha256: str

    def find(self) -> Path:
        """Where it lies, downloaded if it must be.

        Raises:
            BadData: its content is not the official one, or it cannot be had.
        """
        for folder in (os.environ.get("DESCEND_DATA"), cache()):
            path = Path(folder or "", self.path)
            if folder and path.is_file():
                self.check(path, "delete it")
                return path
        return self.download(cache() / self.path)

    def check(self, path: Path, remedy: str) -> None:
        """Refuse what is not the official content, whatever its name."""
        size = path.stat().st_size
        if size != self.size:
            raise BadData(f"{path} has {size:,} bytes, the official file {self.size:,}: {remedy}")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise BadData(f"{path} is not the official file, its SHA-256 is another: {remedy}")

    def download(self, path: Path) -> Path:
        """Into a file beside it that takes the name when it is whole and checked; what was begun is begun anew."""
        if not self.url:
            raise BadData(
                f"{self.path} is not there, and nobody serves it: put it at {path}, or name the folder that holds it "
                "in DESCEND_DATA"
            )
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with urllib.request.urlopen(self.url, timeout=30) as source, unfinished.open("wb") as file:
                self._copy(source, file)
            self.check(unfinished, f"try again; if it stays so, {self.url} does not give what it did")
            unfinished.replace(path)
        except (OSError, HTTPException) as error:
            raise BadData(
                f"{self.url} cannot be downloaded ({error}): put the file at {path}, or name the folder that "
                f"holds {self.path} in DESCEND_DATA"
            ) from None
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def _copy(self, source: Any, file: IO[bytes]) -> None:
        shown, done = sys.stderr.isatty(), 0
        print(f"{self.url}: {self.size / 2**20:.1f} MiB", file=sys.stderr)
        # More than was announced is not wanted, however much of it comes.
        while done <= self.size and (block := source.read(1 << 18)):
            file.write(block)
            done += len(block)
            if shown:
                print(f"\r{done / self.size:4.0%}", end="", file=sys.stderr, flush=True)
        if shown:
            print("\r", end="", file=sys.stderr)


def cache() -> Path:
    """``$DESCEND_CACHE``, else ~/.cache/descend."""
    return Path(os.environ.get("DESCEND_CACHE") or Path.home() / ".cache" / "descend")
