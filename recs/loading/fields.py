"""What can be loaded into each table, and from which column of the file it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from recs.errors import BadInput

Kind = Literal["id", "text", "weight", "time", "boolean", "json", "vector"]


@dataclass(frozen=True)
class Field:
    """A column of ours; an empty value becomes `default`; `longest` is in bytes."""

    name: str
    kind: Kind
    required: bool = False
    default: str | None = None
    longest: int | None = None


_KEY = 1000  # bytes: an entry of an index holds 2700, and some are of two such and a tenant

INTERACTION_FIELDS = (
    Field("user_id", "id", required=True, longest=_KEY),
    Field("item_id", "id", required=True, longest=_KEY),
    Field("interaction_type", "text", default="interaction"),
    Field("weight", "weight"),
    Field("occurred_at", "time"),
)
ITEM_FIELDS = (
    Field("item_id", "id", required=True, longest=_KEY),
    Field("title", "text", default=""),
    Field("description", "text", default=""),
    Field("attributes", "json"),
    Field("available", "boolean"),
    Field("content_vector", "vector"),
)
USER_FIELDS = (
    Field("user_id", "id", required=True, longest=_KEY),
    Field("segment", "text", longest=_KEY),
    Field("attributes", "json"),
)


@dataclass(frozen=True)
class FieldMap:
    """Which fields are loaded, each from which column; `attributes` are columns collected."""

    fields: tuple[Field, ...]
    columns: Mapping[str, str]
    attributes: tuple[str, ...] = ()

    def file_columns(self) -> list[str]:
        """Return the columns to read."""
        return list(dict.fromkeys([*self.columns.values(), *self.attributes]))


def map_fields(
    fields: Sequence[Field],
    file_columns: Sequence[str],
    *,
    columns: Mapping[str, str],
    attributes: Sequence[str] = (),
) -> FieldMap:
    """Choose a column for each field: the one that was named, else one of the field's own name.

    Raises:
        BadInput: a column that the file lacks, or a field that the table lacks.
    """
    _require_known_fields(fields, columns)
    _require_columns([*columns.values(), *attributes], file_columns)
    chosen = {}
    for field in fields:
        if field.name in columns or field.name in file_columns:
            chosen[field.name] = columns.get(field.name, field.name)
        elif field.required:
            raise _missing(field.name, file_columns)
    used = tuple(
        field for field in fields
        if field.name in chosen or (field.kind == "json" and attributes)
    )  # fmt: skip
    return FieldMap(used, chosen, tuple(attributes))


def unused(file_columns: Sequence[str], chosen: FieldMap) -> list[str]:
    """Return the columns of a file that are not read."""
    read = set(chosen.file_columns())
    return [name for name in file_columns if name not in read]


def _require_known_fields(fields: Sequence[Field], columns: Mapping[str, str]) -> None:
    names = [field.name for field in fields]
    for name in columns:
        if name not in names:
            raise BadInput(
                f"there is no column {name!r} to load into",
                hint=f"expected one of {', '.join(names)}",
            )


def _require_columns(wanted: Sequence[str], file_columns: Sequence[str]) -> None:
    for name in wanted:
        if name not in file_columns:
            raise BadInput(
                f"the file has no column {name!r}", hint=f"it has {', '.join(file_columns)}"
            )


def _missing(name: str, file_columns: Sequence[str]) -> BadInput:
    return BadInput(
        f"the file has no column {name!r}",
        hint=f"it has {', '.join(file_columns) or 'none'}; say which it is: --map {name}=COLUMN",
    )
