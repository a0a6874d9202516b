"""JSON Lines: an object a line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa

from recs.errors import BadInput
from recs.loading.batches import Reject
from recs.loading.fields import Kind
from recs.loading.text_files import UNREADABLE, is_packed, require_utf_8
from recs.loading.values import is_id

_LOOK_AHEAD = 1000  # lines whose keys are the columns
_PIECE = 1 << 16  # bytes looked through at once
_LARGEST_BATCH = 50_000  # Python objects are large
_PLAIN = {str, int, type(None)}  # what every kind of column may hold


class JsonLinesSource:
    """A file of JSON objects.

    Its columns are the keys of the first thousand lines, and of `names` those that any line has.
    """

    unit = "line"

    def __init__(self, path: Path, names: Sequence[str] = ()) -> None:
        self._path = path
        with self._open() as (file, _):
            require_utf_8(path)
            self.columns = self._early_keys(file)
            self.columns += _late_keys(file, set(names).difference(self.columns))

    def _early_keys(self, file: BinaryIO) -> list[str]:
        keys: dict[str, None] = {}
        first_reason = ""
        for number, line in enumerate(islice(file, _LOOK_AHEAD), 1):
            if line.isspace():
                continue
            row, reason = _parse(line)
            keys.update(dict.fromkeys(row or ()))
            first_reason = first_reason or (reason and f"line {number}: {reason}")
        if first_reason and not keys:
            raise BadInput(
                f"{self._path} is not JSON Lines: {first_reason}",
                hint="expected one JSON object a line; of an array, jq -c '.[]' makes such lines",
            )
        return list(keys)

    def batches(self, names: Sequence[str], rows: int) -> Iterator[JsonLinesBatch]:  # noqa: ARG002 - a batch has all keys
        """Yield lines as batches."""
        size = self._path.stat().st_size
        number = 1
        with self._open() as (file, raw):
            while lines := list(islice(file, min(rows, _LARGEST_BATCH))):
                yield JsonLinesBatch(lines, number, min(raw.tell() / size, 1.0))
                number += len(lines)

    @contextmanager
    def _open(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        with self._path.open("rb") as raw:
            packed = is_packed(self._path)
            try:
                yield (cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw), raw
            except UNREADABLE as error:
                raise BadInput(
                    f"{self._path} cannot be read as JSON Lines: {error}",
                    hint="is the file whole, and compressed as its name says?",
                ) from error


class JsonLinesBatch:
    """Some lines, parsed."""

    def __init__(self, lines: Sequence[bytes], first: int, fraction: float) -> None:
        self.fraction = fraction
        self._rows: list[dict[str, Any]] = []
        self._lines: list[int] = []
        self._unparsable: list[Reject] = []
        for number, line in enumerate(lines, first):
            if line.isspace():
                continue
            row, reason = _parse(line)
            if row is None:
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                self._unparsable.append(Reject(number, reason, text))
            else:
                self._rows.append(row)
                self._lines.append(number)
        self.rows = len(self._rows)

    def column(self, name: str) -> Any:
        """Return the values of a key; booleans, and all where types are mixed, each as text."""
        values = self.objects(name)
        try:
            array = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            array = None
        if array is None or pa.types.is_nested(array.type) or pa.types.is_boolean(array.type):
            return pa.array([_text(value) for value in values], pa.string())
        return array

    def misfits(self, name: str, kind: Kind) -> Mapping[int, Any]:
        """Return the lists and objects, and of ids whatever else is none."""
        values = self.objects(name)
        if _PLAIN.issuperset(map(type, values)):
            return {}
        fits = is_id if kind == "id" else _is_single
        return {row: value for row, value in enumerate(values) if not fits(value)}

    def objects(self, name: str) -> list[Any]:
        """Return the values of a key; None where a row lacks it."""
        return [row.get(name) for row in self._rows]

    vectors = objects

    def rejects(self, faults: Mapping[int, str]) -> list[Reject]:
        """Return rows with their lines."""
        found = [Reject(self._lines[row], why, self._rows[row]) for row, why in faults.items()]
        return sorted(found + self._unparsable, key=lambda reject: reject.line)


def _is_single(value: object) -> bool:
    return not isinstance(value, list | dict)


def _late_keys(file: BinaryIO, names: set[str]) -> list[str]:
    """Return those of `names` that are keys of a line.

    Only lines that have a name as text are parsed, or an escape, which may hide one: to look
    through the others takes a fraction of the time.
    """
    missing = {f'"{name}"'.encode(errors="surrogatepass"): name for name in names}
    found: list[str] = []
    while missing and (lines := file.readlines(_PIECE)):
        if not _may_have(b"".join(lines), missing):
            continue
        for line in lines:
            row = _parse(line)[0] if _may_have(line, missing) else None
            for text in [text for text, name in missing.items() if row and name in row]:
                found.append(missing.pop(text))
    return found


def _may_have(text: bytes, keys: Iterable[bytes]) -> bool:
    return b"\\" in text or any(key in text for key in keys)


def _parse(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        row = json.loads(line)
        if rb"\ud" in line or rb"\uD" in line:
            json.dumps(row, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        return None, f"not JSON: {error}"
    if not isinstance(row, dict):
        return None, f"expected a JSON object, got {type(row).__name__}"
    return row, ""


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value)
