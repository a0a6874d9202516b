"""Which data sets a folder holds, and the reader of each."""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

from benchmarks.quality import own
from benchmarks.quality.datasets import (
    Dataset,
    read_ml_latest_small,
    read_online_retail,
    read_split,
)
from recs.errors import BadInput

NAMED: dict[str, Callable[[Path], Dataset]] = {
    "online-retail": read_online_retail,
    "ml-latest-small": read_ml_latest_small,
    "gowalla": read_split,
}


def found(data: Path) -> list[str]:
    """Return the names of the data sets in a folder: a subfolder each, the named ones first.

    Raises:
        BadInput: there is none.
    """
    folders = [folder for folder in data.iterdir() if folder.is_dir()] if data.is_dir() else []
    names = [folder.name for folder in folders if _reader(folder)]
    if not names:
        raise BadInput(
            f"no data set in {data}",
            hint="expected subfolders with interactions.csv (or another kind that `recs load`"
            f" reads), with train.txt and test.txt, or named {', '.join(NAMED)}",
        )
    return ordered(names)


def ordered(names: list[str]) -> list[str]:
    """Return the names, the named ones first."""
    return [name for name in NAMED if name in names] + sorted(set(names) - set(NAMED))


def read(data: Path, name: str) -> Dataset:
    """Read the data set of that name.

    Raises:
        BadInput: there is none, or a file of it cannot be read.
    """
    reader = _reader(data / name)
    if reader is None:
        raise BadInput(f"no data set {name!r} in {data}", hint=f"it has {', '.join(found(data))}")
    return reader(data / name)


@cache
def edition(data: Path, name: str) -> str:
    """Return a digest of the files of a data set of one's own, which may change under one name.

    Empty for the named ones, which do not.
    """
    if name in NAMED:
        return ""
    total = hashlib.sha256()
    for path in sorted((data / name).iterdir()):
        if path.is_file():
            with path.open("rb") as content:
                total.update(path.name.encode() + hashlib.file_digest(content, "sha256").digest())
    return total.hexdigest()[:16]


def _reader(folder: Path) -> Callable[[Path], Dataset] | None:
    """Return what reads a folder, None if nothing does."""
    if folder.name in NAMED:
        return NAMED[folder.name] if folder.is_dir() else None
    if (folder / "train.txt").is_file() and (folder / "test.txt").is_file():
        return read_split
    return own.read_shop if own.file(folder, "interactions") else None
