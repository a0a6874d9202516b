"""Files (CSV, Parquet, JSON Lines) into the tables: checked in bounded batches, written by COPY.

A load is one transaction: it happens whole or not at all. A batch goes file -> checks -> tables;
`loads` is where to start reading.
"""

from recs.loading.loads import Bind, LoadReport, load_interactions, load_items, load_users

__all__ = ["Bind", "LoadReport", "load_interactions", "load_items", "load_users"]
