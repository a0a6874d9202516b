"""The terms that an item's content is made of, in SQL."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text


def test_terms_are_words_letters_of_the_title_and_attributes(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT term, frequency FROM recs.item_terms('Mugs, mug', 'for teas',"
                """ CAST('{"colour": ["Blue"], "price": 8}' AS jsonb), 'english')"""
            )
        )
        assert {row.term: row.frequency for row in rows} == {
            "mug": 2,
            "tea": 1,
            "~ mu": 2,
            "~mug": 2,
            "~ugs": 1,
            "~gs ": 1,
            "~ug ": 1,
            "colour=blue": 1,
            "price=~6": 1,
        }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2013", {"~22", "#4:503", "#16:125"}),
        ("2013.0", {"~22", "#4:503", "#16:125"}),
        ("2013.5", {"~22"}),
        ("-80", {"~-13", "#4:-20", "#16:-5"}),
        ("49", {"~11"}),
        ("50", {"~11", "#4:12", "#16:3"}),
        ("2e9", {"~62"}),
        ('"2013-08-09"', {"2013-08-09", "#4:503", "#16:125"}),
        ('"2013-08-09T10:00Z"', {"2013-08-09t10:00z", "#4:503", "#16:125"}),
        ('"2013"', {"2013"}),
        ("null", set()),
        ('["2013-08-09"]', {"2013-08-09"}),
    ],
)
def test_whole_numbers_and_dates_stand_in_windows(
    engine: Engine, value: str, expected: set[str]
) -> None:
    with engine.connect() as connection:
        terms = connection.execute(
            text("SELECT term FROM recs.item_terms('', '', CAST(:attributes AS jsonb), 'english')"),
            {"attributes": f'{{"year": {value}}}'},
        ).scalars()
        assert sorted(terms) == sorted(f"year={term}" for term in expected)


def test_a_text_of_any_length_and_digits_of_any_script_have_terms(engine: Engine) -> None:
    words = " ".join(f"word{n}" for n in range(400_000))  # over three megabytes
    attributes = '{"released": "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0660\u0661"}'
    with engine.connect() as connection:
        terms = connection.execute(
            text(
                "SELECT term"
                " FROM recs.item_terms('', :words, CAST(:attributes AS jsonb), 'english')"
            ),
            {"words": words, "attributes": attributes},
        ).scalars()
        assert {"word0", "word9000"} <= set(terms)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('{"on sale": true, "used": false}', ["on sale=true", "used=false"]),
        ('{"tags": ["Red", "red", 7, true]}', ["tags=7", "tags=red", "tags=red", "tags=true"]),
        ('{"tags": ["red", "red"]}', ["tags=red"]),
        ('{"price": 0, "offer": -8, "weight": 0.25}', ["offer=~-6", "weight=~-4"]),
        ('{"big": 1000000000}', ["big=#16:62500000", "big=#4:250000000", "big=~60"]),
        ('{"deep": {"a": 1}}', []),
    ],
)
def test_a_value_is_a_term_by_its_kind(
    engine: Engine, attributes: str, expected: list[str]
) -> None:
    with engine.connect() as connection:
        terms = connection.execute(
            text("SELECT term FROM recs.item_terms('', '', CAST(:attributes AS jsonb), 'english')"),
            {"attributes": attributes},
        ).scalars()
        assert sorted(terms) == expected


def test_of_a_long_title_and_text_the_beginning_counts(engine: Engine) -> None:
    title = "A" + " " * 197 + "QZXV"  # of whose word the first 200 characters have two letters
    query = text("SELECT term FROM recs.item_terms(:title, :description, '{}', 'english')")
    with engine.connect() as connection:
        terms = connection.execute(query, {"title": title, "description": ""}).scalars().all()
        assert {term for term in terms if term.startswith("~")} == {"~ a ", "~ qz", "~qz "}
        long = "word " * 20_000 + "beyond"
        terms = connection.execute(query, {"title": "", "description": long}).scalars().all()
        assert terms == ["word"]


def test_words_are_read_in_the_language_that_is_asked_for(engine: Engine) -> None:
    query = text("SELECT term FROM recs.item_terms('', 'der Katzen', '{}', :config)")
    with engine.connect() as connection:
        for config, expected in (("german", ["katz"]), ("simple", ["der", "katzen"])):
            terms = connection.execute(query, {"config": config}).scalars().all()
            assert sorted(terms) == expected


def test_a_long_key_or_value_is_a_term_that_an_index_holds(engine: Engine) -> None:
    statement = text(
        "SELECT term FROM recs.item_terms('', '', jsonb_build_object(repeat('é', 9000) || 'k',"
        " to_jsonb(CAST(:value AS text))), 'simple')"
    )
    with engine.connect() as connection:
        terms = {
            value: connection.execute(statement, {"value": value}).scalars().all()
            for value in ("ü" * 9000, "ü" * 9000 + "x", "v" + "ü" * 9000)
        }
    assert all(len(term.encode()) <= 1000 for found in terms.values() for term in found)
    one, same, other = terms.values()
    assert one == same != other
