"""`recs tune`, and what `recs train` makes of its file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender, tuning
from recs.cli.parameters import check_device, read_config
from recs.errors import BadInput, NothingToLearn
from recs.learning import TrainingConfig
from tests import shops


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """Return a database whose users keep to one of four groups of items."""
    shops.fill_with_groups(engine)
    return engine


def test_the_first_trial_is_that_of_the_defaults_and_the_best_is_no_worse(shop: Engine) -> None:
    report = tuning.tune(shop, trials=3)
    assert [trial.number for trial in report.trials] == [0, 1, 2]
    for name, value in report.trials[0].parameters.items():
        assert value == getattr(TrainingConfig(), name)
    assert report.best.value == max(trial.recall + trial.ndcg for trial in report.trials)
    # Four groups, and six of twelve items known: twenty guesses find the group's other six.
    assert report.best.recall > 0.8


def test_tuning_leaves_the_database_as_it_was(shop: Engine) -> None:
    tuning.tune(shop, trials=1)
    with shop.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM recs.models")).scalar_one() == 0


def test_an_empty_catalog_has_nothing_to_tune_by(engine: Engine) -> None:
    with pytest.raises(NothingToLearn, match="catalog is empty"):
        tuning.tune(engine, trials=1)


def test_users_of_two_items_leave_nothing_to_learn_from_once_one_is_held_out(
    engine: Engine,
) -> None:
    recommender = Recommender(engine)
    recommender.upsert_items(Item(f"item-{n}") for n in range(4))
    recommender.record_interactions(
        Interaction(f"user-{u}", f"item-{n}") for u in range(40) for n in (u % 4, (u + 1) % 4)
    )
    with pytest.raises(NothingToLearn, match="beside those that are held out"):
        tuning.tune(engine, trials=1)


def test_a_timeout_of_no_time_is_refused(shop: Engine) -> None:
    with pytest.raises(BadInput, match="timeout is 0 s, expected more than 0"):
        tuning.tune(shop, trials=1, timeout=0)


@pytest.mark.parametrize("seed", [-1, 2**32 - 1, 0.5, True, "1"])
def test_a_seed_that_is_none_is_refused_before_anything_is_read(engine: Engine, seed: int) -> None:
    with pytest.raises(BadInput, match=f"seed is {seed!r}, expected a whole number from 0 to"):
        tuning.tune(engine, trials=1, seed=seed)  # of an empty catalog it would say so
    with pytest.raises(BadInput, match=f"seed is {seed!r}, expected a whole number from 0 to"):
        TrainingConfig(seed=seed)


def test_the_first_trial_runs_however_short_the_time(shop: Engine) -> None:
    assert len(tuning.tune(shop, trials=3, timeout=1e-9).trials) == 1


def test_importances_are_shares_of_the_settings_searched(shop: Engine) -> None:
    report = tuning.tune(shop, trials=tuning.ENOUGH_FOR_IMPORTANCE)
    assert set(report.importances) == set(tuning.SEARCHED)
    assert sum(report.importances.values()) == pytest.approx(1)


def test_trials_that_are_all_equal_have_no_importances(engine: Engine) -> None:
    # Of four items, three are known of each user: the fourth is the first guess of any training.
    recommender = Recommender(engine)
    recommender.upsert_items(Item(f"item-{n}") for n in range(4))
    recommender.record_interactions(
        Interaction(f"user-{u}", f"item-{(u + n) % 4}") for u in range(40) for n in range(4)
    )
    report = tuning.tune(engine, trials=tuning.ENOUGH_FOR_IMPORTANCE)
    assert len({trial.value for trial in report.trials}) == 1
    assert report.importances == {}


def test_what_was_found_before_an_interrupt_is_returned(shop: Engine) -> None:
    def stop(trial: tuning.TuningTrial, _: int) -> None:
        if trial.number == 1:
            raise KeyboardInterrupt

    report = tuning.tune(shop, trials=5, on_trial=stop)
    assert report.interrupted
    assert [trial.number for trial in report.trials] == [0, 1]


def test_a_whole_number_written_as_a_fraction_is_a_whole_number(tmp_path: Path) -> None:
    path = tmp_path / "tuned.json"
    path.write_text('{"dimension": 1e2, "temperature": 1}')
    config = read_config(path, seed=0)
    assert isinstance(config.dimension, int)
    assert isinstance(config.temperature, float)


def test_what_tune_writes_train_reads(tmp_path: Path) -> None:
    path = tmp_path / "tuned.json"
    path.write_text(json.dumps({"temperature": 0.2, "dimension": 64, "smoothing": 0}))
    changed = {"temperature": 0.2, "dimension": 64, "smoothing": 0, "seed": 7}
    assert asdict(read_config(path, seed=7)) == {**asdict(TrainingConfig()), **changed}
    assert read_config(None, seed=0) == TrainingConfig()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "no JSON object"),
        ('{"temprature": 0.1}', "'temprature', which is no setting"),
        ('{"temperature": "warm"}', "is 'warm', expected a number"),
        ('{"temperature": NaN}', "is nan, expected a number"),
        ('{"temperature": 0}', "is 0, expected a positive number"),
        ('{"dimension": 1.5}', "is 1.5, expected a whole number"),
        ('{"dimension": true}', "is True, expected a number"),
        ('{"validation_share": 7}', "is 7, expected less than 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "tuned.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        read_config(path, seed=0)


@pytest.mark.parametrize(
    ("device", "n_gpus"),
    [("auto", 0), ("cpu", 0), ("cuda", 1), ("cuda:0", 1), ("cuda:1", 2)],
)
def test_a_device_that_is_there_is_taken(
    device: str, n_gpus: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    assert check_device(None, None, device) == device
    assert read_config(None, seed=0, device=device).device == device


@pytest.mark.parametrize(
    ("device", "n_gpus", "message"),
    [
        ("cuda", 0, "'cuda', but torch sees 0 GPUs"),
        ("cuda:2", 2, "'cuda:2', but torch sees 2 GPUs"),
        ("gpu", 1, "'gpu', expected auto, cpu, cuda or cuda:N"),
        ("cuda:", 1, "'cuda:', expected"),
        ("cuda:-1", 1, "'cuda:-1', expected"),
        ("cpu:1", 1, "'cpu:1', expected"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    device: str, n_gpus: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    with pytest.raises(BadInput, match=message):
        check_device(None, None, device)
