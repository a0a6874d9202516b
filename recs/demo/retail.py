"""The real shop, Online Retail II: a row a purchase line, cleaned as its owner would."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recs.demo.shop import NewProduct, Shop
from recs.errors import BadInput

FILE = "purchases.parquet"
COLUMNS = (
    "invoice", "stock_code", "description", "quantity", "ts", "price", "customer_id", "country",
)  # fmt: skip

# Booked as stock, but nothing that a shop would recommend: carriage, corrections, bank, tests.
NOT_PRODUCTS = (
    "POST", "DOT", "C2", "M", "D", "ADJUST", "ADJUST2", "BANK CHARGES", "TEST001", "TEST002",
)  # fmt: skip
UNKNOWN_COUNTRY = "Unspecified"

NEW_PRODUCT = NewProduct(
    item_id="NEW-1",
    title="VINTAGE ROSE TEAPOT FOR TWO",
    description="",
    attributes={"price": 8.5},
)


def read_shop(folder: Path) -> Shop:
    """Read and clean the shop whose purchase lines lie in `folder`/purchases.parquet.

    An item is a stock code: its title is the description most often used, its price the median.
    A user is a customer, the segment the country most often named. One invoice's lines of one
    item are one interaction, of weight 1: quantities in this wholesale shop (12, 24, 10000) tell
    the size of the customer, not how much it likes the item. Times are the shop's, read as UTC.

    Raises:
        BadInput: the file is not there, or lacks a column.
    """
    lines = clean(read_lines(folder))
    return Shop(
        items=_items(lines),
        users=_users(lines),
        interactions=_interactions(lines),
        new_product=NEW_PRODUCT,
    )


def read_lines(folder: Path) -> pa.Table:
    """Read the purchase lines as they are.

    Raises:
        BadInput: the file is not there, or lacks a column.
    """
    path = folder / FILE
    if not path.is_file():
        raise BadInput(
            f"no file {FILE} in {str(folder)!r}",
            hint=f"expected a folder with {FILE}, columns {', '.join(COLUMNS)}",
        )
    missing = set(COLUMNS) - set(pq.read_schema(path).names)
    if missing:
        raise BadInput(
            f"{path} has no column {', '.join(sorted(missing))}",
            hint=f"expected the columns {', '.join(COLUMNS)}",
        )
    return pq.read_table(path, columns=list(COLUMNS))


def clean(lines: pa.Table) -> pa.Table:
    """Drop lines that are not the sale of a product.

    In Online Retail II: 2,847 of 791,114 lines are of NOT_PRODUCTS, and 61 more have the price 0
    (gifts, corrections); 10 codes of 4,631 and 29 customers of 5,881 go with them. The quality
    benchmarks do not clean: the published figures were measured on the lines as they are.
    """
    product = pc.invert(pc.is_in(lines["stock_code"], value_set=pa.array(NOT_PRODUCTS)))
    return lines.filter(pc.and_(product, pc.greater(lines["price"], 0)))


def _interactions(lines: pa.Table) -> pa.Table:
    """Merge one invoice's lines of one item (2.8 % of them): a thing bought is bought once."""
    bought = lines.group_by(["invoice", "customer_id", "stock_code"]).aggregate([("ts", "min")])
    bought = bought.sort_by([("ts_min", "ascending"), ("invoice", "ascending")])
    return pa.table(
        {
            "user_id": bought["customer_id"].cast(pa.string()),
            "item_id": bought["stock_code"].cast(pa.string()),
            "interaction_type": pa.array(["purchase"] * len(bought)).dictionary_encode(),
            "weight": np.ones(len(bought), np.float32),
            "occurred_at": bought["ts_min"].cast(pa.timestamp("us", tz="UTC")),
        }
    )


def _items(lines: pa.Table) -> pa.Table:
    titles = _most_frequent(lines, "stock_code", "description")
    prices = lines.group_by("stock_code").aggregate([("price", "approximate_median")])
    items = titles.join(prices, "stock_code").sort_by("stock_code")
    words = pc.replace_substring_regex(items["description"], r"\s+", " ")
    return pa.table(
        {
            "item_id": items["stock_code"].cast(pa.string()),
            "title": pc.utf8_trim_whitespace(words).cast(pa.string()),
            "price": pc.round(items["price_approximate_median"], 2),
        }
    )


def _users(lines: pa.Table) -> pa.Table:
    countries = _most_frequent(lines, "customer_id", "country").sort_by("customer_id")
    country = countries["country"]
    known = pc.if_else(pc.equal(country, UNKNOWN_COUNTRY), None, country)
    return pa.table(
        {
            "user_id": countries["customer_id"].cast(pa.string()),
            "segment": known.cast(pa.string()),
        }
    )


def _most_frequent(lines: pa.Table, key: str, value: str) -> pa.Table:
    """Return each key once, with the value that most lines give it; ties to the smallest."""
    counts = lines.group_by([key, value]).aggregate([([], "count_all")])
    counts = counts.sort_by([("count_all", "descending"), (value, "ascending")])
    first = counts.group_by(key, use_threads=False).aggregate([(value, "first")])
    return first.rename_columns([key, value])
