"""Columns of a file into columns of a table: ids, texts, weights, booleans."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recs.arguments import LARGEST_WEIGHT, LEAST_WEIGHT
from recs.loading.columns import (
    Values,
    faults_of,
    is_text,
    number,
    numpy_of,
    one_by_one,
    show,
    wrong_type,
)

ID = "text or a whole number"
_LARGEST_EXACT = 2**53  # the integers a double holds exactly
_TRUE = ("true", "t", "yes", "y", "1", "on")
_FALSE = ("false", "f", "no", "n", "0", "off")


def ids(array: Any, name: str) -> Values:
    """Return ids as text: 42 and 42.0 are '42', a UUID is its text; none may be missing.

    Untyped text (CSV) that ends in '.0' after digits only is a number too: pandas writes it so.

    Raises:
        BadInput: a column of another type. What text a boolean or a time becomes, no application
            could say, and so not find its own key again.
    """
    types, kind = pa.types, array.type
    if types.is_floating(kind):
        return _float_ids(array, name)
    if types.is_fixed_size_binary(kind) and kind.byte_width == 16:
        found = Values(_each(array, lambda value: str(UUID(bytes=value))), {})
    elif types.is_decimal(kind):
        found = _decimal_ids(array, name)
    elif types.is_integer(kind) or types.is_null(kind):
        found = Values(_text(array), {})
    elif is_text(kind):
        found = _trimmed(texts(array, name), name)
        if types.is_binary(kind):
            found = Values(_without_fraction(found.array), found.faults)
    else:
        raise wrong_type(name, kind, ID)
    missing = pc.equal(pc.fill_null(found.array, ""), "")
    return Values(found.array, faults_of(missing, lambda _: f"{name} is missing") | found.faults)


def is_id(value: object) -> bool:
    """Tell whether a Python value is what a column of ids may hold, None among it."""
    if isinstance(value, float):
        return value.is_integer() and abs(value) < _LARGEST_EXACT
    return value is None or (isinstance(value, str | int) and not isinstance(value, bool))


def _float_ids(array: Any, name: str) -> Values:
    array = array.cast(pa.float64())
    numbers = numpy_of(array.fill_null(math.nan))
    missing = np.isnan(numbers)
    with np.errstate(invalid="ignore"):
        exact = (np.abs(numbers) < _LARGEST_EXACT) & (np.floor(numbers) == numbers)
    whole = pa.array(np.where(exact, numbers, 0).astype(np.int64), mask=~exact)
    faults = faults_of(missing, lambda _: f"{name} is missing")
    faults |= faults_of(
        ~exact & ~missing,
        lambda row: f"{name} is {numbers[row]}, expected {ID} below 2^53",
    )
    return Values(whole.cast(pa.string()), faults)


def _decimal_ids(array: Any, name: str) -> Values:
    text = pc.replace_substring_regex(_text(array), r"\.0+$", "")
    broken = pc.invert(pc.match_substring_regex(text, r"^-?[0-9]+$")).fill_null(False)
    faults = faults_of(broken, lambda row: f"{name} is {text[row]}, expected {ID}")
    return Values(pc.if_else(broken, pa.scalar(None, pa.string()), text), faults)


def _trimmed(found: Values, name: str) -> Values:
    """Refuse blanks around an id: kept, they make two of one; taken off, another than was given."""
    trimmed = pc.utf8_trim_whitespace(found.array)
    blank = pc.not_equal(trimmed, found.array).fill_null(False)
    if not blank.true_count:
        return found
    faults = faults_of(
        blank,
        lambda row: f"{name} is {show(found.array[row].as_py())}, expected no blanks around it",
    )
    array = pc.if_else(blank, pa.scalar(None, pa.string()), found.array)
    return Values(array, faults | found.faults)


def _without_fraction(array: Any) -> Any:
    if not pc.any(pc.ends_with(array, ".0")).as_py():
        return array
    return pc.replace_substring_regex(array, r"^(-?[0-9]+)\.0$", r"\1")


def texts(array: Any, name: str, default: str | None = None) -> Values:
    """Return text; an empty value becomes `default`."""
    types, kind = pa.types, array.type
    faults: dict[int, str] = {}
    if is_text(kind):
        array, faults = _decoded(array.cast(pa.binary()), name)
    elif not (types.is_null(kind) or types.is_primitive(kind)):
        raise wrong_type(name, kind, "text")
    array = _text(array)
    with_nul = pc.match_substring(array, "\0").fill_null(False)
    if with_nul.true_count:
        faults |= faults_of(
            with_nul, lambda _: f"{name} has a NUL character, which PostgreSQL refuses"
        )
        array = pc.if_else(with_nul, pa.scalar(None, pa.string()), array)
    empty = pc.equal(array.fill_null(""), "")
    return Values(pc.if_else(empty, pa.scalar(default, pa.string()), array), faults)


def _decoded(array: Any, name: str) -> tuple[Any, dict[int, str]]:
    """Return bytes as text; Parquet's text too comes as bytes, since writers do not check it."""
    try:
        return array.cast(pa.string()), {}
    except pa.ArrowInvalid:
        return one_by_one(array, lambda value: str(value, "utf-8"), name, "UTF-8", pa.string())


def no_longer(found: Values, name: str, longest: int) -> Values:
    """Refuse texts of more than `longest` bytes."""
    lengths = numpy_of(pc.binary_length(found.array).fill_null(0))
    long = lengths > longest
    if not long.any():
        return found
    faults = faults_of(
        long, lambda row: f"{name} has {lengths[row]} bytes, expected at most {longest}"
    )
    array = pc.if_else(pa.array(long), pa.scalar(None, pa.string()), found.array)
    return Values(array, faults | found.faults)


def weights(array: Any, name: str) -> Values:
    """Return numbers that the table takes, as it holds them (float4); an empty value is 1."""
    numbers, faults = _numbers(array, name)
    wide = numpy_of(numbers.fill_null(1.0))
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    good = (narrow >= np.float32(LEAST_WEIGHT)) & (narrow <= np.float32(LARGEST_WEIGHT))
    expected = f"expected a number from {LEAST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
    faults |= faults_of(~good, lambda row: f"{name} is {wide[row]:g}, {expected}")
    return Values(pa.array(narrow), faults)


def _numbers(array: Any, name: str) -> tuple[Any, dict[int, str]]:
    types, kind = pa.types, array.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
        return array.cast(pa.float64(), safe=False), {}
    if types.is_decimal(kind):
        return array.cast(pa.float64()), {}
    if not is_text(kind):
        raise wrong_type(name, kind, "a number")
    text = texts(array, name)
    try:
        return text.array.cast(pa.float64()), text.faults
    except pa.ArrowInvalid:
        found, faults = one_by_one(text.array, number, name, "a number", pa.float64())
        return found, faults | text.faults


def booleans(array: Any, name: str) -> Values:
    """Return booleans, of true/false, yes/no, on/off, t/f, y/n, 1/0 too; an empty value is true."""
    if pa.types.is_boolean(array.type):
        return Values(array.fill_null(True), {})
    text = texts(array, name, "true")
    words = pc.replace_substring_regex(pc.utf8_lower(text.array), r"\.0$", "")
    true = pc.is_in(words, pa.array(_TRUE))
    wrong = pc.invert(pc.or_(true, pc.is_in(words, pa.array(_FALSE))))
    faults = faults_of(
        wrong, lambda row: f"{name} is {show(text.array[row].as_py())}, expected true or false"
    )
    return Values(true, faults | text.faults)


def _text(array: Any) -> Any:
    return array if array.type == pa.string() else array.cast(pa.string())


def _each(array: Any, read: Callable[[Any], str]) -> Any:
    found = [None if value is None else read(value) for value in array.to_pylist()]
    return pa.array(found, pa.string())
