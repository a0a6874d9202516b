"""What training reads of a tenant, against a slow count of what was written."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from psycopg import sql
from sqlalchemy import Engine, text

from recs import Interaction, Item, Recommender, database
from recs.database import driver_connection
from recs.errors import BadInput
from recs.learning import Interactions
from recs.learning.content import TermKind
from recs.training import reading

FIRST, DAY = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=1)
ITEMS = [f"item-{n}" for n in range(8)]


def events(seed: int, *, count: int = 120) -> list[Interaction]:
    """Return interactions of ten users with eight items, most pairs more than once."""
    random = np.random.default_rng(seed)
    return [
        Interaction(
            f"user-{random.integers(10)}",
            ITEMS[random.integers(8)],
            weight=float(np.float32(random.uniform(0.1, 2))),
            occurred_at=FIRST + int(random.integers(100)) * DAY,
        )
        for _ in range(count)
    ]


def fill(shop: Recommender, happened: list[Interaction], word: str = "mug") -> None:
    shop.upsert_items(Item(item, f"{word} number{n % 3} only{n}") for n, item in enumerate(ITEMS))
    shop.record_interactions(happened)


@pytest.mark.parametrize("until", [None, FIRST + 60 * DAY])
def test_a_pair_has_its_largest_weight_and_its_first_and_last_time_up_to_the_moment(
    engine: Engine, until: datetime | None
) -> None:
    happened = events(0)
    fill(Recommender(engine), happened)
    data = reading.read(engine, until=until)
    pairs = defaultdict(list)
    for one in happened:
        if until is None or one.occurred_at <= until:
            pairs[one.user_id, one.item_id].append(one)
    found = data.interactions
    assert len(found) == len(pairs) < data.n_interactions == sum(map(len, pairs.values()))
    for row in range(len(found)):
        ones = pairs[data.user_ids[found.user[row]], data.item_ids[found.item[row]]]
        days = [one.occurred_at.timestamp() / 86400 for one in ones]
        assert found.weight[row] == np.float32(max(one.weight for one in ones))
        assert found.first_occurred_at[row] == pytest.approx(min(days))
        assert found.last_occurred_at[row] == pytest.approx(max(days))
    assert data.trained_until == max(one.occurred_at for ones in pairs.values() for one in ones)
    assert found.trained_until == pytest.approx(data.trained_until.timestamp() / 86400)
    assert list(data.user_ids) == sorted({user for user, _ in pairs})
    assert list(data.item_ids) == ITEMS


def test_what_happens_at_the_moment_itself_is_read_and_what_is_to_come_is_not(
    engine: Engine,
) -> None:
    now = datetime.now(UTC)
    fill(Recommender(engine), [
        Interaction("now", "item-1", occurred_at=FIRST),
        Interaction("next", "item-1", occurred_at=FIRST + DAY),
        Interaction("ahead", "item-1", occurred_at=now + 9 * DAY),
    ])  # fmt: skip
    assert list(reading.read(engine, until=FIRST).user_ids) == ["now"]
    assert list(reading.read(engine, until=now + 99 * DAY).user_ids) == ["next", "now"]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, reading.TrainingData | reading.Content | Interactions):
        names = [field.name for field in fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if hasattr(one, "toarray"):
        return np.array_equal(one.toarray(), other.toarray())
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


@pytest.mark.parametrize("vectors", [False, True])
def test_nothing_of_another_tenant_is_read(engine: Engine, dsn: str, vectors: bool) -> None:
    mine, theirs = (database.make_engine(dsn, tenant_id=name) for name in ("mine", "theirs"))
    fill(Recommender(mine), events(0))
    if vectors:
        Recommender(mine).upsert_items(
            Item(item, content_vector=(n, 1.0)) for n, item in enumerate(ITEMS)
        )
    before = reading.read(mine)
    later = [Interaction("zoe", "item-9", occurred_at=FIRST + 200 * DAY)]
    Recommender(theirs).upsert_items(
        Item(f"item-{n}", f"lamp number{n % 2}", content_vector=(1.0, n, 2.0)) for n in range(10)
    )
    Recommender(theirs).record_interactions([*events(1), *later])
    assert (before.content.vectors is not None) == vectors
    assert same(reading.read(mine), before)


def test_what_is_recorded_while_it_is_read_is_not_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(Recommender(engine), events(0))
    before, last = reading.read(engine), reading._last_interaction

    def record(*arguments: Any) -> datetime | None:
        late = [Interaction("user-0", item, occurred_at=FIRST + 300 * DAY) for item in ITEMS]
        Recommender(engine).record_interactions(late)
        return last(*arguments)

    monkeypatch.setattr(reading, "_last_interaction", record)
    assert same(reading.read(engine), before)


def test_a_term_is_what_two_items_have_and_has_its_kind(engine: Engine) -> None:
    fill(Recommender(engine), events(0))
    content = reading.read(engine).content
    assert content.frequencies is not None
    assert {"mug", "~mug"} <= set(content.terms)
    assert not any(term.startswith("only") for term in content.terms)
    assert np.diff(content.frequencies.tocsc().indptr).min() == 2
    terms = ["~mug", "mug", "colour=red", "colour=~red", "year=#16:100"]
    kinds = reading.Content(terms, None, None).kinds
    assert kinds.tolist() == [
        TermKind.LETTERS, TermKind.WORD, TermKind.ATTRIBUTE, TermKind.ATTRIBUTE, TermKind.NUMBER
    ]  # fmt: skip


def test_vectors_stand_in_the_rows_of_their_items_and_those_without_one_have_zeros(
    engine: Engine,
) -> None:
    shop = Recommender(engine)
    fill(shop, events(0))
    vectors = [(n, 1.0, -n) if n % 3 else (0.0, 0.0, 0.0) for n in range(len(ITEMS))]
    shop.upsert_items(
        Item(item, content_vector=vector)
        for item, vector in zip(ITEMS, vectors, strict=True)
        if any(vector)
    )
    content = reading.read(engine).content
    np.testing.assert_array_equal(content.vectors, np.float32(vectors))
    assert content.frequencies is None


def test_a_term_counts_as_often_as_its_item_has_it(engine: Engine) -> None:
    shop = Recommender(engine)
    fill(shop, events(0))
    shop.upsert_items([Item("item-3", "mug mug red"), Item("item-5", "red", "mug red red")])
    content = reading.read(engine).content
    assert content.frequencies is not None
    found = content.frequencies.toarray()[:, [content.terms.index(word) for word in ("mug", "red")]]
    assert found[3, 0] > found[3, 1] > 0
    assert found[5, 1] > found[5, 0] > 0
    assert found[[0, 1, 2], 1].tolist() == [0, 0, 0]


def test_vectors_of_two_dimensions_are_refused(engine: Engine) -> None:
    fill(Recommender(engine), events(0))
    with engine.begin() as connection:
        for item, vector in (("item-1", "[1,0]"), ("item-2", "[1,0,0]")):
            connection.execute(
                text("UPDATE recs.items SET content_vector = CAST(:v AS vector)"
                     " WHERE item_id = :i"),
                {"v": vector, "i": item},
            )  # fmt: skip
    with pytest.raises(BadInput, match="content_vector has 2 different dimensions, expected one"):
        reading.read(engine)


@pytest.mark.parametrize("rows", [0, 1, 150_000])  # the last are more than two blocks
def test_records_are_read_whole_however_many_there_are(engine: Engine, rows: int) -> None:
    query = sql.SQL("SELECT n, n::float8 / 4 FROM generate_series(1, {}) n").format(rows)
    with engine.connect() as connection:
        found = reading.copy_records(driver_connection(connection), query, {"n": "i4", "q": "f8"})
    np.testing.assert_array_equal(found["n"], np.arange(1, rows + 1))
    np.testing.assert_array_equal(found["q"], np.arange(1, rows + 1) / 4)


def test_tables_of_the_applications_that_have_the_names_of_training_s_own_are_not_read(
    engine: Engine,
) -> None:
    happened = events(4)
    fill(Recommender(engine), happened)
    plain = reading.read(engine)
    with engine.begin() as connection:
        for schema in ("recs", "public"):
            for table, columns in (
                ("numbered_items", "item_id text, n integer"),
                ("numbered_users", "user_id text, n integer, fingerprint bigint"),
                ("term_frequencies", "item integer, term text, frequency integer"),
                ("numbered_terms", "term text, n integer"),
            ):
                connection.execute(text(f"CREATE TABLE {schema}.{table} ({columns})"))
    again = reading.read(engine)
    assert (again.user_ids, again.item_ids) == (plain.user_ids, plain.item_ids)
    assert again.n_interactions == plain.n_interactions == len(happened)
    assert list(again.content.terms) == list(plain.content.terms) != []


def test_weights_at_the_bounds_of_the_table_are_read(engine: Engine) -> None:
    shop = Recommender(engine)
    fill(shop, [Interaction("u", ITEMS[0], weight=1e-12), Interaction("u", ITEMS[1], weight=1e12)])
    assert sorted(reading.read(engine).interactions.weight) == [np.float32(1e-12), np.float32(1e12)]
