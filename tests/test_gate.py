"""The gate: what does not beat popularity is published, and does not serve."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from recs import Interaction, Item, Recommender
from recs.cli import main
from recs.training import versions

ITEMS, USERS, LENGTH = 60, 400, 6
FIRST, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)


@pytest.fixture
def noise(engine: Engine) -> Engine:
    """Return a shop in which everybody draws from the same best-sellers: nothing to learn."""
    random = np.random.default_rng(2)
    share = 1 / np.arange(1, ITEMS + 1) ** 1.2
    share /= share.sum()
    shop = Recommender(engine)
    shop.upsert_items(Item(f"item-{n}") for n in range(ITEMS))
    shop.record_interactions(
        Interaction(f"user-{u}", f"item-{n}", occurred_at=FIRST + int(day) * DAY)
        for u in range(USERS)
        for n, day in zip(
            random.choice(ITEMS, LENGTH, replace=False, p=share),
            random.integers(0, 200, LENGTH),
            strict=True,
        )
    )
    return engine


def test_a_model_of_noise_is_published_refused_and_does_not_serve(
    noise: Engine, dsn: str, tmp_path: Path, capsys: Any
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"dimension": 8, "max_epochs": 2}))
    training = ["train", "--parameters", str(settings), "--device", "cpu"]
    with pytest.raises(SystemExit) as stopped:
        main(["--dsn", dsn, "--json", *training])
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    report, failure = json.loads(printed.out), json.loads(printed.err)
    gate = report["gate"]
    assert gate["recall"] + gate["ndcg"] < gate["popularity_recall"] + gate["popularity_ndcg"]
    assert (report["activated"], gate["passed"], len(gate["refusals"])) == (False, False, 1)
    assert "published but not active" in failure["error"]
    assert failure["hint"].endswith(f"recs models activate {report['model_id']}")

    with noise.connect() as connection:
        (version,) = versions.list_versions(connection)
        assert version.state == "ready"
        assert version.metrics["gate"] == gate
        assert versions.active_version(connection) is None
    assert {row.tier for row in Recommender(noise).recommend("user-0", 5)} == {"popularity"}


def test_a_model_of_old_data_does_not_take_over_from_one_of_newer(
    noise: Engine, dsn: str, tmp_path: Path, capsys: Any
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({"dimension": 8, "max_epochs": 1}))
    training = ["--dsn", dsn, "train", "--parameters", str(settings), "--device", "cpu"]
    main([*training, "--force"])
    with pytest.raises(SystemExit):
        main([*training, "--until", "2024-06-01"])
    said = capsys.readouterr().err
    assert "it has learned until 2024-06-01 00:00, the active model until 2024-07-1" in said
    main([*training, "--until", "2024-06-01", "--force"])
    with noise.connect() as connection:
        states = [version.state for version in versions.list_versions(connection)]
    assert states == ["active", "ready", "retired"]
