"""What callers give, checked, and in the form in which the database takes it."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, TypeAlias
from uuid import UUID

from recs.errors import BadInput

Id: TypeAlias = str | int | UUID
MOST_ROWS = 1000  # as recs.check_k() has it
# squares of such, summed, are single numbers yet; recs.interactions has the same bounds
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-12, 1e12
# what scikit-learn takes for a seed, and tuning draws with the next one too
LARGEST_SEED = 2**32 - 2
# What str holds and PostgreSQL's text does not: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_STORABLE_HINT = "leave NUL and lone surrogates out"


def id_text(value: object) -> str:
    """Return an id as text.

    Raises:
        BadInput: it is neither text nor a whole number nor a UUID, or has what PostgreSQL's text
            cannot hold.
    """
    if isinstance(value, str):
        return storable("an id", value)
    # numpy's integers are Integral, and what data frames hold; a float may have lost digits
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, UUID):
        return str(value)
    raise BadInput(
        f"an id is {value!r}, expected str, int or UUID",
        hint="convert it as the catalog's ids were: 42, not 42.0",
    )


def id_texts(name: str, values: object) -> list[str]:
    """Return the ids of a collection as text, each once, in their order.

    Raises:
        BadInput: it is no collection, or one text, whose letters would each be an id; or one of
            them is no id.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise BadInput(
            f"{name} is {reprlib.repr(values)}, expected ids",
            hint='for example: ["sku-1", "sku-2"]',
        )
    return list(dict.fromkeys(id_text(value) for value in values))


def tenant_text(value: object) -> str:
    """Return the id of a tenant as text.

    Raises:
        BadInput: it is no id, or empty: the database takes that for no tenant named.
    """
    if tenant_id := id_text(value):
        return tenant_id
    raise BadInput(
        "a tenant is '', expected a name",
        hint="name it, or leave it out for the session's own, which is 'default' unless set",
    )


def storable(what: str, value: str) -> str:
    """Return plain text.

    Raises:
        BadInput: it has what PostgreSQL's text cannot hold.
    """
    plain = str.__str__(value)  # of an enumeration's member: its value
    if _UNSTORABLE.search(plain):
        raise BadInput(
            f"{what} is {value!r}, expected text that PostgreSQL can hold",
            hint=_STORABLE_HINT,
        )
    return plain


def row_count(value: object) -> int:
    """Return k.

    Raises:
        BadInput: it is not 1 to 1000.
    """
    if isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= MOST_ROWS:
        return int(value)
    raise BadInput(
        f"k is {value!r}, expected 1 to {MOST_ROWS}",
        hint="ask for what is shown; for more, page within one answer",
    )


def seed_number(value: object) -> int:
    """Return a seed.

    Raises:
        BadInput: it is no whole number from 0 to LARGEST_SEED.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        seed = int(value)
        if 0 <= seed <= LARGEST_SEED:
            return seed
    raise BadInput(
        f"seed is {value!r}, expected a whole number from 0 to {LARGEST_SEED}",
        hint="leave it out: 0; any other draws differently",
    )


def filter_text(value: Mapping[str, Any] | None) -> str | None:
    """Return a filter as JSON.

    Raises:
        BadInput: it is no mapping, or holds what is not JSON.
    """
    return None if value is None else mapping_text("filter is", value)


def mapping_text(what: str, value: object) -> str:
    """Return a mapping as JSON; `what` begins the error.

    Raises:
        BadInput: it is none, or holds what is not JSON, or what PostgreSQL's text cannot hold.
    """
    if not isinstance(value, Mapping):
        raise BadInput(
            f"{what} {value!r}, expected a mapping", hint='for example: {"colour": "red"}'
        )
    text = json_text(value)
    # Escaped so are a NUL and surrogates: those of a pair, an emoji's say, and lone ones.
    if ("\\u0000" in text or "\\ud" in text) and any(
        _UNSTORABLE.search(part) for part in _texts(json.loads(text))
    ):
        raise BadInput(
            f"{what} {reprlib.repr(value)}, expected text that PostgreSQL can hold",
            hint=_STORABLE_HINT,
        )
    return text


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in what JSON was read as, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def json_text(value: object) -> str:
    """Return a value as JSON, by the rules of Item.

    Raises:
        BadInput: some of it is not JSON.
    """
    try:
        return json.dumps(value, default=_json_value, allow_nan=False)
    except (TypeError, ValueError, OverflowError) as error:  # NaN, a key that is no text, a circle
        raise BadInput(
            f"{reprlib.repr(value)} is not JSON: {error}",
            hint="expected keys that are text, and finite numbers",
        ) from error


def _json_value(value: object) -> object:
    """Return a value that json knows for one that it does not."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, Real | Decimal):
        return float(value)
    if isinstance(value, date | UUID):
        return str(value)  # as `recs load` writes them
    raise BadInput(
        f"{value!r} is not JSON",
        hint="expected text, numbers, booleans, None, dates, UUIDs, and lists and mappings of them",
    )


def segment_text(value: object) -> str:
    """Return the name of a segment.

    Raises:
        BadInput: it is no text, or has what PostgreSQL's cannot hold.
    """
    if isinstance(value, str):
        return storable("segment", value)
    raise BadInput(f"segment is {value!r}, expected text", hint="for example: 'France'")
