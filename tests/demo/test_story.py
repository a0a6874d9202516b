"""The story prints what was answered, and statements that can be pasted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from recs.cli.output import Output
from recs.demo import story
from recs.demo.customers import Customer, Purchase
from recs.demo.shop import NEW_PRODUCT

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
POT = story.Answer(1, "sku-1", "Blue [enamel] tea pot", 0.5, "model", "because of tea")
CUP = story.Answer(2, "sku-2", "Red tea cup", 0.25, "model", "because of tea")
CUP_FIRST, POT_NOW = replace(CUP, rank=1), replace(POT, rank=2)
CUSTOMER = Customer("o'hara", "Ireland", 2, (Purchase("sku-9", "Tea caddy", NOON),))


@pytest.fixture
def told() -> story.Story:
    scene = story.CustomerScene(CUSTOMER, (POT, CUP))
    return story.Story(
        regular_customer=scene,
        two_purchases=scene,
        stranger=story.StrangerScene("nobody", (POT,)),
        new_product=story.ProductScene(NEW_PRODUCT, (CUP,)),
        strangers_event=story.EventScene("nobody", "sku-9", "Tea caddy", NOON, (POT,), (CUP,)),
        event=story.EventScene("o'hara", "sku-9", "Tea caddy", NOON, (POT,), (CUP_FIRST, POT_NOW)),
    )


@pytest.fixture
def printed(told) -> str:
    console = Console(file=StringIO(), width=200)
    story.tell(told, Output(console=console))
    return console.file.getvalue()


def test_every_row_shows_title_score_tier_and_reason(printed):
    (row, *_) = [line for line in printed.splitlines() if "sku-1 " in line]
    assert " ".join(row.split()) == "1 sku-1 Blue [enamel] tea pot 0.5000 model because of tea"


def test_a_customer_is_shown_with_what_was_bought(printed):
    assert "A regular customer: o'hara from Ireland, 2 different items" in printed
    assert "2026-01-02  sku-9    Tea caddy" in printed


def test_a_customer_without_a_segment_is_from_nowhere(told):
    console = Console(file=StringIO(), width=200)
    nobody = replace(CUSTOMER, segment=None)
    told = replace(told, regular_customer=story.CustomerScene(nobody, (POT,)))
    story.tell(told, Output(console=console))
    assert "A regular customer: o'hara, 2 different items" in console.file.getvalue()


def test_an_event_shows_the_rank_before_it(printed):
    after = printed.split("One event")[1]
    event = after.split("A stranger")[0]
    rows = [line.split()[:3] for line in event.splitlines() if "because of" in line]
    assert rows == [["1", "-", "sku-2"], ["2", "rank", "1"]]


def test_statements_are_quoted(told, printed):
    assert "recs.recommend('o''hara', 2);" in printed
    assert "'o''hara'" in story.statements_to_try(told)[0]


def test_the_document_holds_every_scene(told):
    document = told.document()
    assert document["regular_customer"]["answers"][0]["title"] == POT.title
    assert document["event"]["answers_before"][0]["item_id"] == "sku-1"
