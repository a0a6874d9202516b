"""The active version read back from PostgreSQL, as the space that it was published from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from pgvector.psycopg import register_vector
from psycopg.rows import dict_row
from sqlalchemy import Engine

from recs.database import PIN_SEARCH_PATH, driver_connection
from recs.learning import Space
from recs.learning.associations import Fading
from recs.learning.blend import Blend
from recs.training import versions
from recs.training.reading import SECONDS_A_DAY


def read(engine: Engine, item_ids: Sequence[str]) -> tuple[Space, float] | None:
    """Read the vectors that serve, for a catalog, and their trained_until in days.

    Items that the version does not know have zero rows, and are never retrieved.
    """
    with engine.connect() as connection:
        active = versions.active_version(connection)
        if active is None or active.trained_until is None:
            return None
        driver = driver_connection(connection)
        driver.execute(PIN_SEARCH_PATH)
        register_vector(driver)
        with driver.cursor(row_factory=dict_row) as cursor:
            model = cursor.execute(_MODEL, [active.model_id]).fetchone()
        assert model is not None  # noqa: S101 - active_version just read it
        number = {item: n for n, item in enumerate(item_ids)}
        item_embeddings = np.zeros((len(item_ids), active.dimension), np.float32)
        history_embeddings = np.zeros_like(item_embeddings)
        seasonality = np.ones(len(item_ids), np.float32)
        with driver.cursor("active_vectors", binary=True) as cursor:
            cursor.execute(
                "SELECT item_id, embedding, history_embedding, seasonality"
                " FROM recs.item_embeddings"
                " WHERE tenant_id = recs.current_tenant() AND model_id = %s",
                [active.model_id],
            )
            for item_id, embedding, history, season in cursor:
                n = number.get(item_id)
                if n is not None:
                    item_embeddings[n] = embedding.to_numpy()
                    history_embeddings[n] = history.to_numpy()
                    seasonality[n] = season
        space = Space(
            item_embeddings=item_embeddings,
            history_embeddings=history_embeddings,
            tower_dimension=model["tower_dimension"] or active.dimension,
            scale=model["embedding_scale"] or 1.0,
            half_life_days=model["history_half_life"] or math.inf,
            learned=np.any(item_embeddings != 0, axis=1),
            blend=_blend(model),
            fading=_fading(model),
            seasonality=seasonality,
        )
        return space, active.trained_until.timestamp() / SECONDS_A_DAY


_MODEL = """
SELECT history_half_life, tower_dimension, tower_weight, tower_support, tower_fading,
       low_pass_dimension, detail_dimension, association_support, popularity_weight,
       new_item_tower, new_item_bias, embedding_scale
FROM recs.models WHERE model_id = %s"""


def _blend(model: Mapping[str, Any]) -> Blend | None:
    if model["tower_dimension"] is None:
        return None
    return Blend(**{f.name: model[f.name] for f in fields(Blend) if f.name in model})


def _fading(model: Mapping[str, Any]) -> Fading:
    if model["tower_dimension"] is None:
        return Fading()
    return Fading(
        model["low_pass_dimension"], model["detail_dimension"], model["association_support"]
    )
