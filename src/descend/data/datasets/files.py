"""Official files: in ``$DESCEND_DATA``, else in the cache, else downloaded, checked by size and hash."""

from __future__ import annotations

import hashlib
import os
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from descend.data.errors import BadData


@dataclass(frozen=True)
class Official:
    """One file as its project publishes it.

    Attributes:
        path: below ``$DESCEND_DATA`` and below the cache.
        url: where it is downloaded from.
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
                self.check(path)
                return path
        return self.download(cache() / self.path)

    def check(self, path: Path) -> None:
        if path.stat().st_size != self.size:
            raise BadData(f"{path} has {path.stat().st_size:,} bytes, the official file {self.size:,}: delete it")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise BadData(f"{path} is not the official file: its SHA-256 differs; delete it")

    def download(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
        try:
            with urllib.request.urlopen(self.url, timeout=30) as source, unfinished.open("wb") as file:
                done = 0
                while block := source.read(1 << 20):
                    file.write(block)
                    done += len(block)
                    print(f"\r{path.name}: {done / 2**20:.1f} of {self.size / 2**20:.1f} MiB", end="", file=sys.stderr)
                print(file=sys.stderr)
            self.check(unfinished)
            unfinished.replace(path)
        except OSError as error:
            raise BadData(
                f"{self.url} cannot be downloaded ({error}): put the file at {path}, or name the folder that "
                f"holds {self.path} in DESCEND_DATA"
            ) from None
        finally:
            unfinished.unlink(missing_ok=True)
        return path


def cache() -> Path:
    """``$DESCEND_CACHE``, else ~/.cache/descend."""
    return Path(os.environ.get("DESCEND_CACHE") or Path.home() / ".cache" / "descend")
