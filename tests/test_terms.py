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
