"""Which file it is: by its ending, to the reader of that kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recs.errors import BadInput
from recs.loading.batches import Source
from recs.loading.csv_files import CsvSource
from recs.loading.json_lines import JsonLinesSource
from recs.loading.parquet_files import ParquetSource

KINDS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")


def open_source(path: Path, names: Sequence[str] = ()) -> Source:
    """Open a file; `.csv`, `.tsv`, `.jsonl` and `.ndjson` may be compressed (`.gz`).

    `names` are columns that will be asked for: a JSON Lines file is searched for them.

    Raises:
        BadInput: it does not exist, cannot be read, is empty, or is of a kind that is not known.
    """
    kind = kind_of(path)
    _require_content(path)
    if kind == ".parquet":
        return ParquetSource(path)
    if kind in (".csv", ".tsv"):
        return CsvSource(path, delimiter="\t" if kind == ".tsv" else ",")
    return JsonLinesSource(path, names)


def kind_of(path: Path) -> str:
    """Return the ending that tells the kind of file.

    Raises:
        BadInput: the kind is not known, or it is a folder without a name.
    """
    if not path.name:  # of "." and "/"
        raise _not_a_file(path)
    name = path.name.lower()
    kind = Path(name.removesuffix(".gz")).suffix
    if kind not in KINDS or (kind == ".parquet" and name.endswith(".gz")):
        raise BadInput(
            f"{path}: unknown kind of file {Path(name).suffix or path.name!r}",
            hint=f"expected one of {', '.join(KINDS)}; all but .parquet may end in .gz",
        )
    return kind


def _not_a_file(path: Path) -> BadInput:
    return BadInput(f"not a file: {path}", hint="give one file, not a folder")


def _require_content(path: Path) -> None:
    try:
        if not path.exists():
            raise BadInput(f"no such file: {path}", hint=f"paths start from {Path.cwd()}")
        if not path.is_file():
            raise _not_a_file(path)
        with path.open("rb") as file:
            content = file.read(1)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read: {error.strerror}",
            hint="let the user that recs runs as read the file and its folder",
        ) from error
    if not content:
        raise BadInput(f"{path} is empty", hint="expected at least one row")
