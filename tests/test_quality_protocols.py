"""The protocols of the quality benchmark keep test data out of training, and ask fair questions."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks.quality import sets
from benchmarks.quality.campaign import Campaign, Choice, choose, objective
from benchmarks.quality.datasets import Dataset, Interactions, ItemContent, Tag
from benchmarks.quality.method import WARM, Method, decays, top_k, weighted
from benchmarks.quality.methods import METHODS
from benchmarks.quality.protocols import HOLDOUT_SEED, splits
from benchmarks.quality.run import FOLDER
from benchmarks.quality.tables import Entry, grids, merged, read, summarise
from benchmarks.quality.tasks import GIVEN, KNOWN, pairs
from benchmarks.quality.trial import Result, Trial, load, save
from recs.metrics import PADDING

N_USERS, N_ITEMS, N_EVENTS = 120, 200, 12_000


@pytest.fixture(scope="module")
def films():
    """Events at random, many to a user, under the name of a set with both kinds of split."""
    random = np.random.default_rng(5)
    events = Interactions(
        random.integers(0, N_USERS, N_EVENTS),
        random.integers(0, N_ITEMS, N_EVENTS),
        np.sort(random.integers(0, 300, N_EVENTS)).astype(float),  # many events at one moment
    )
    # Users and items that come late, so that the temporal split has new ones too.
    late = events.days < 250
    events = events.where(~(late & ((events.users < 20) | (events.items < 20))))
    return Dataset(
        "ml-latest-small",
        events,
        tuple(map(str, range(N_USERS))),
        tuple(map(str, range(N_ITEMS))),
        tuple(ItemContent(title=f"film {item}") for item in range(N_ITEMS)),
        (Tag(user=30, item=3, day=1.0, text="early"), Tag(user=30, item=3, day=299.0, text="late")),
    )


def undated(films: Dataset) -> Dataset:
    return replace(films, name="a shop without dates", has_time=False)


def published(films: Dataset) -> Dataset:
    """A split without valid.txt; the test asks for events of the second half."""
    events, half = films.interactions, np.arange(len(films.interactions)) < N_EVENTS // 2
    parts = {"train": events.where(half), "test": events.where(~half)}
    return replace(films, name="a published split", has_time=False, parts=parts)


KINDS = {
    "films": lambda films: films,
    "dated": lambda films: replace(films, name="a shop"),
    "undated": undated,
    "published": published,
}


@pytest.fixture(scope="module", params=KINDS)
def dataset(request, films):
    return KINDS[request.param](films)


@pytest.fixture(scope="module", params=["validation", "test"])
def tasks(request, dataset):
    made = splits(dataset, request.param)
    return [(split, task) for split in made for task in split.tasks]


def test_nothing_relevant_is_excluded_or_no_candidate(tasks):
    for _, task in tasks:
        for row, items in enumerate(task.relevant):
            assert items.size
            assert np.isin(items, task.request.candidates).all()
            assert not task.request.excluded[[row]].toarray()[0, items].any()


def test_nothing_relevant_was_trained_on(tasks):
    for split, task in tasks:
        trained = set(zip(split.train.users.tolist(), split.train.items.tolist(), strict=True))
        for user, items in zip(task.request.users.tolist(), task.relevant, strict=True):
            assert trained.isdisjoint((user, item) for item in items.tolist())


def test_validation_never_sees_a_pair_that_the_test_asks_for(dataset):
    for made in zip(splits(dataset, "validation"), splits(dataset, "test"), strict=True):
        validation, test = made
        seen = set(zip(test.train.users.tolist(), test.train.items.tolist(), strict=True))
        used = set(zip(validation.train.users, validation.train.items, strict=True))
        assert used <= seen
        for task in validation.tasks:
            for user, items in zip(task.request.users, task.relevant, strict=True):
                assert {(user, item) for item in items} <= seen


def test_new_users_and_new_items_are_unknown_to_the_training(tasks):
    for split, task in tasks:
        if task.case == "new users":
            assert not np.isin(task.request.users, split.train.users).any()
        if task.case == "new items":
            assert not np.isin(task.request.candidates, split.train.items).any()


@pytest.mark.parametrize("phase", ["validation", "test"])
def test_a_new_user_is_asked_the_same_at_every_n_and_told_n_items_of_the_first(films, phase):
    holdout = next(split for split in splits(films, phase) if split.name == "holdout")
    found = [task for task in holdout.tasks if task.case == "new users"]
    assert [task.n_known for task in found] == list(KNOWN)
    for task in found:
        request = task.request
        told, counts = np.unique(request.known.users, return_counts=True)
        assert counts.tolist() == [task.n_known] * len(told)
        assert np.asarray(request.excluded.sum(axis=1)).tolist() == [GIVEN] * len(request.users)
        assert [r.tolist() for r in task.relevant] == [r.tolist() for r in found[0].relevant]


@pytest.mark.parametrize("phase", ["validation", "test"])
def test_where_nobody_new_has_enough_items_nobody_new_is_asked(films, phase):
    events = films.interactions
    few = events.where(events.items % 10 == 0)  # 20 items are left, 25 are needed
    made = splits(replace(films, interactions=few), phase)
    cases = {task.case for split in made for task in split.tasks}
    assert cases == {"warm", "whole catalog", "new items"}
    for split in made:
        for task in split.tasks:
            assert len(task.relevant) == len(task.request.users) > 0


def test_the_holdout_names_its_seed(films):
    holdout = next(split for split in splits(films, "test") if split.name == "holdout")
    assert holdout.seed == HOLDOUT_SEED


def test_a_shop_with_dates_is_cut_in_time(films):
    split, *_ = splits(replace(films, name="a shop"), "test")
    days = films.interactions.days
    assert split.name == "temporal"
    assert split.train.days.max() < days[int(0.8 * len(days))]
    assert len(split.train) == pytest.approx(0.8 * len(days), rel=0.02)


def test_of_a_shop_without_dates_a_fifth_of_the_items_of_each_user_is_asked_for(films):
    split, holdout = splits(undated(films), "test")
    assert (split.name, holdout.name) == ("random", "holdout")
    (task,) = split.tasks
    had = pairs(films.interactions, films).sum(axis=1)[task.request.users]
    asked = np.array([len(items) for items in task.relevant])
    assert len(task.request.users) > 100
    assert np.abs(asked - 0.2 * had).max() <= 1  # an item of which nothing is left is not asked for


def test_nobody_is_held_out_where_the_cut_in_time_asks_enough_new_users_and_items(films):
    random = np.random.default_rng(8)
    past, future = 20_000, 5_000
    events = Interactions(
        np.concatenate([random.integers(0, 60, past), random.integers(20, 95, future)]),
        np.concatenate([random.integers(0, 150, past), random.integers(0, N_ITEMS, future)]),
        np.concatenate([np.arange(past) / 200, 100 + np.arange(future) / 200]),
    )
    crowd = replace(films, name="a shop", interactions=events)
    assert [split.name for split in splits(crowd, "test")] == ["temporal"]
    assert {task.case for task in splits(crowd, "test")[0].tasks} == {
        "warm",
        "whole catalog",
        "new users",
        "new items",
    }


def test_a_published_split_is_taken_as_it_is(films):
    parts = {
        part: films.interactions.where(np.arange(len(films.interactions)) % 3 == number)
        for number, part in enumerate(("train", "valid", "test"))
    }
    dataset = replace(films, name="published", has_time=False, parts=parts)
    (validation,), (test,) = splits(dataset, "validation"), splits(dataset, "test")
    assert len(validation.train) == len(parts["train"])
    assert len(test.train) == len(parts["train"]) + len(parts["valid"])
    asked = {
        (u, i)
        for t in test.tasks
        for u, row in zip(t.request.users, t.relevant, strict=True)
        for i in row
    }
    assert asked <= set(zip(parts["test"].users, parts["test"].items, strict=True))


def test_a_tag_given_after_the_training_is_not_known(films):
    temporal = next(split for split in splits(films, "test") if split.name == "temporal")
    assert temporal.contents[3].attributes["tag"] == ["early"]


def test_a_pair_weighs_by_its_last_event(films):
    split = splits(films, "test")[0]
    until = split.trained_until
    events = Interactions(np.array([1, 1]), np.array([2, 2]), np.array([until - 60, until - 30]))
    matrix = weighted(events, split, half_life=30)
    assert matrix.nnz == 1
    assert matrix[1, 2] == pytest.approx(0.5)


def test_what_came_after_the_training_weighs_one(films):
    split = splits(films, "test")[0]
    assert decays(np.array([split.trained_until + 50]), split, 30).tolist() == [1.0]


def test_top_k_pads_where_candidates_run_out():
    scores = np.array([[0.1, -np.inf, 0.3], [-np.inf, -np.inf, -np.inf]], np.float32)
    assert top_k(scores, 2).tolist() == [[2, 0], [PADDING, PADDING]]


def _result(params, recall, phase="validation"):
    trial = Trial("m", "d", "s", phase, params, 0, 1)
    return Result(trial, {"warm": {"recall@20": recall, "ndcg@20": recall}})


def test_the_best_on_validation_is_chosen_for_each_case():
    method = Method("m", lambda *_: None, lambda _: [], WARM)
    results = [_result({"a": 1}, 0.1), _result({"a": 2}, 0.3), _result({"a": 3}, 0.2)]
    assert [choice.params for choice in choose(method, results)] == [{"a": 2}]
    assert objective(results[0], "new users") is None


def test_a_kept_result_is_found_by_its_configuration_alone(tmp_path):
    result = _result({"a": 1, "b": 2}, 0.25)
    save(result, tmp_path)
    assert load(_result({"b": 2, "a": 1}, 0.0).trial, tmp_path) == result
    assert load(_result({"a": 1, "b": 3}, 0.0).trial, tmp_path) is None
    assert load(_result({"a": 1, "b": 2}, 0.0, phase="test").trial, tmp_path) is None


def entry(dataset: str, method: str, *, recall: float = 0.1, reason: str = ""):
    mean = {} if reason else {"recall@20": recall}
    return Entry(dataset, "temporal", "warm", method, mean=mean, reason=reason, code="")


def test_tables_say_how_many_users_a_figure_is_of_and_how_far_that_carries():
    figures = {"recall@20": 0.3, "ndcg@20": 0.2, "users": 39.0}
    ours = {**figures, "recall@20_error": 0.0131}
    tasks = ["warm", *(f"new users, n={n}" for n in KNOWN)]
    entries = [
        Entry("films", "temporal", task, method, mean=mean, seeds=1)
        for task in tasks
        for method, mean in (("recs", ours), ("EASE", figures))
    ]
    (warm, _, warm_rows), (new, header, rows), _ = grids(entries)
    assert warm == "films, temporal split: warm, 39 users, standard error ±0.0131"
    assert len(warm_rows) == 2
    assert new.endswith("39 users")
    assert rows[-1] == ["standard error", *["±0.0131"] * len(KNOWN), "-"]
    assert {len(row) for row in rows} == {len(header)}


def test_a_run_of_some_methods_keeps_what_an_earlier_one_measured_of_the_others():
    earlier = [
        entry("gowalla", "EASE", recall=0.2),
        entry("online-retail", "recs", recall=0.3),
        entry("online-retail", "EASE", recall=0.4),
    ]
    now = [entry("online-retail", "recs", recall=0.5), entry("online-retail", "ALS", reason="late")]
    found = {(one.dataset, one.method): one.mean.get("recall@20") for one in merged(earlier, now)}
    assert found == {
        ("online-retail", "recs"): 0.5,
        ("online-retail", "EASE"): 0.4,
        ("online-retail", "ALS"): None,
        ("gowalla", "EASE"): 0.2,
    }
    assert list(found) == [("online-retail", "recs"), ("online-retail", "EASE"),
                           ("online-retail", "ALS"), ("gowalla", "EASE")]  # fmt: skip


def test_a_run_that_failed_does_not_take_away_what_was_measured():
    kept = merged([entry("gowalla", "ALS")], [entry("gowalla", "ALS", reason="took too long")])
    assert [one.reason for one in kept] == [""]


@pytest.mark.parametrize(
    ("code", "remark"),
    [
        (METHODS["EASE"].code, ""),
        ("0123456789abcdef", " (measured on other code than this)"),
        ("", " (measured before code was noted)"),
    ],
)
def test_a_row_says_where_its_code_is_another_or_unknown(code, remark):
    rows = grids([replace(entry("films", "EASE"), code=code, params={"a": 1}, seeds=1,
                          mean={"recall@20": 0.3, "users": 9})])[0][2]  # fmt: skip
    assert rows[0][-1] == f"a=1{remark}"


def test_every_method_has_a_digest_of_what_decides_its_answers():
    codes = {name: method.code for name, method in METHODS.items()}
    assert all(codes.values())
    assert len({codes["recs"], codes["recs tuned"], codes["EASE"]}) == 3


def test_a_result_of_other_code_is_run_again_and_one_of_before_code_was_noted_is_not(
    tmp_path, monkeypatch
):
    campaign = Campaign(data=tmp_path, results=tmp_path, sets=(), methods=(), report=lambda _: None)
    again = replace(_result({}, 0.9), trial=Trial("EASE", "d", "s", "test", {}, 0, 1))
    monkeypatch.setattr(sets, "edition", lambda *_: "")
    monkeypatch.setattr(Campaign, "_spawn", lambda *_: again)

    def asked(code: str) -> Result:
        kept = replace(_result({}, 0.1), trial=again.trial, code=code)
        save(kept, tmp_path)
        return campaign._one(again.trial)

    now = METHODS["EASE"].code
    assert asked(now).scores["warm"]["recall@20"] == 0.1
    assert asked("").scores["warm"]["recall@20"] == 0.1
    assert asked("0123456789abcdef") == replace(again, code=now)


def test_an_entry_has_the_validation_value_and_the_figures_that_all_its_seeds_have():
    old, new = _result({"a": 1}, 0.2, phase="test"), _result({"a": 1}, 0.4, phase="test")
    old.scores["warm"]["of old"] = 1.0
    choice = Choice("m", "d", "s", "warm", {"a": 1}, 0.25)
    (made,) = summarise([choice], [old, new])
    assert made.mean == pytest.approx({"recall@20": 0.3, "ndcg@20": 0.3})
    assert made.validation == 0.25
    (alone,) = summarise([replace(choice, validation=float("nan"))], [old])
    assert alone.validation is None


def test_the_figures_in_the_repository_can_be_read():
    entries = read(FOLDER / "results" / "quality" / "summary.json")
    assert {one.method for one in entries} >= {"recs", "EASE"}
    assert grids(entries)


def test_entries_are_read_back_as_they_were_written(tmp_path):
    path = tmp_path / "summary.json"
    assert read(path) == []
    written = [entry("gowalla", "ALS", recall=0.3), entry("gowalla", "EASE", reason="late")]
    path.write_text(json.dumps([asdict(one) for one in written]))
    assert read(path) == written
