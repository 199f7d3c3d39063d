"""The ledger, its audit and walks over trades in words; and a plan that holds walks."""

import json
from dataclasses import replace

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.management.audit_text import audit_text
from chandlery.management.listeners import render_plan
from chandlery.management.plan_json import plan_as_json
from chandlery.management.plan_text import trades_text, walk_text
from chandlery.management.step_text import (
    differing_text,
    gaps_text,
    ledger_text,
    unpaid_text,
    walk_cut_short,
    walked_text,
    walking_text,
)
from chandlery.pipeline.events import GapsFound, LedgerAsked, PlanLine, Planned, WalkPlanned
from tests.candles.builders import at, between
from tests.management.runs import planned
from tests.management.walks import PART, audited, walk, walk_done, walk_started

# --------------------------------------------------------------------------------------------------- ledger and audit


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            LedgerAsked(3, 0, 0, 2, 5, 1.2),
            "weekly figures of 3 markets, the first trade of 2 markets; 5 requests in 1.2 s",
        ),
        (LedgerAsked(1, 0, 0, 0, 1, 0.4), "weekly figures of 1 market; 1 request in 0.4 s"),
        (LedgerAsked(0, 0, 1, 0, 1, 0.4), "daily figures of 1 market; 1 request in 0.4 s"),
        (
            LedgerAsked(2, 1, requests=7, seconds=9.0),
            "weekly figures of 2 markets, 1 without an answer; 7 requests in 9.0 s",
        ),
        (LedgerAsked(0, 40, requests=1_200, seconds=60.0), "40 without an answer; 1,200 requests in 60.0 s"),
        (LedgerAsked(0), "no answer; 0 requests in 0.0 s"),
    ],
)
def test_what_the_ledger_was_asked_for_is_counted(asked: LedgerAsked, said: str) -> None:
    assert ledger_text(asked) == f"ledger: {said}"


def test_an_audit_tells_what_is_confirmed_and_what_is_not() -> None:
    assert audit_text(audited(short=4)) == (
        "audit: 1,234 weeks of 8 series compared with the ledger: 1,230 confirmed, 4 contradicted"
    )
    assert audit_text(audited(short=0)).endswith(": 1,234 confirmed")
    assert audit_text(audited(short=0, differing=5)).endswith(": 1,229 confirmed, 5 differ a little")
    assert audit_text(replace(audited(short=0), weeks=1, series=1, confirmed=1)) == (
        "audit: 1 week of 1 series compared with the ledger: 1 confirmed"
    )


def test_gaps_that_trades_will_close_are_told_apart() -> None:
    found = GapsFound(12, 400, 2, 3, 2, partly=1, from_trades=4)

    assert gaps_text(found) == (
        "12 gaps (400 candles): 2 derivable, 3 API-fillable, 1 partly, 4 from trades, 2 require CSV"
    )
    assert "trades" not in gaps_text(replace(found, from_trades=0))


# --------------------------------------------------------------------------------------------------------------- walks


def test_a_walk_that_begins_tells_its_price() -> None:
    three = walk_started(walk("XBTUSD", 1_000), walk("ETHUSD", 200), walk("SOLUSD", 5))

    assert walking_text(three) == (
        "walking over the trades of 3 markets: about 1,205 requests (1.21M trades), about 21 minutes"
    )
    assert walking_text(walk_started(walk(requests=1), seconds=1.0)) == (
        "walking over the trades of 1 market: about 1 request (1.00k trades), a few seconds"
    )


def test_where_one_price_is_not_known_no_price_is_told() -> None:
    assert walking_text(walk_started(walk("XBTUSD", 1_000), walk("ETHUSD", None))) == (
        "walking over the trades of 2 markets: nobody knows yet how many requests it takes"
    )


def test_a_budget_is_told_where_it_may_not_be_enough() -> None:
    limit = "; no more than 3,600 this time"

    assert walking_text(walk_started(walk(requests=3_601), budget=3_600)).endswith(limit)
    assert walking_text(walk_started(walk(requests=None), budget=3_600)).endswith(limit)
    assert limit not in walking_text(walk_started(walk(requests=3_600), budget=3_600))
    assert "no more" not in walking_text(walk_started(walk(requests=10**6)))


def test_what_came_of_walks_is_one_sentence() -> None:
    assert walked_text(walk_done()) == (
        "3 markets walked: 1,203,456 trades on 1,210 pages, 134,000 new candles; 1,212 requests in 1,250.0 s"
    )
    assert walked_text(walk_done(1, 1, pages=1, trades=1, candles=1, requests=1)) == (
        "1 market walked: 1 trade on 1 page, 1 new candle; 1 request in 1,250.0 s"
    )


def test_what_walks_changed_and_what_failed_is_told_where_there_is_any() -> None:
    said = walked_text(walk_done(failed=1, replaced=12, removed=3))

    assert said.startswith("3 markets walked, 1 failed: ")
    assert "134,000 new candles, 12 replaced, 3 removed; " in said
    assert not any(word in walked_text(walk_done()) for word in ("failed", "replaced", "removed"))


def test_walks_that_were_stopped_tell_how_many_came_to_their_end() -> None:
    assert walked_text(walk_done(1, of=3)).startswith("1 of 3 markets walked: ")
    assert walk_cut_short(walk_done(1, of=3))
    assert walk_cut_short(walk_done(3, unpaid=1))
    assert not walk_cut_short(walk_done())


def test_a_spent_budget_says_how_to_go_on() -> None:
    said = "the trade budget is spent; what is left of {} is walked by the next run, or with --trade-budget N"

    assert unpaid_text(walk_done(unpaid=1)) == said.format("1 market")
    assert unpaid_text(walk_done(unpaid=2)) == said.format("2 markets")


def test_differences_are_counted() -> None:
    assert differing_text(1).startswith("1 candle ")
    assert differing_text(1_200).startswith("1,200 candles ")


# ----------------------------------------------------------------------------------------------------------------- plan


def with_walks(*walks: WalkPlanned, seconds: float = 1_250.0, budget: int | None = None) -> Planned:
    started = walk_started(*walks)
    return replace(planned(), walks=walks, walk_requests=started.requests, walk_seconds=seconds, trade_budget=budget)


def test_a_walk_of_a_plan_tells_its_time_and_its_price() -> None:
    assert walk_text(walk(part=TimeRange(at("2026-08-01"), at("2026-11-23 22:30")))) == (
        "XBTUSD: 2026-08-01 00:00 to 2026-11-23 22:30 UTC (165,510 minutes, about 1.21M trades, 1,205 requests)"
    )
    assert walk_text(walk(requests=1)).endswith("(14,400 minutes, about 1.00k trades, 1 request)")
    assert walk_text(walk(requests=None)) == "XBTUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, price not known yet)"


def test_a_market_s_name_is_nothing_that_a_terminal_obeys() -> None:
    assert walk_text(walk("X\x1b[2J", None)).startswith("X\\x1b[2J: ")


def test_the_walks_of_a_plan_are_summed_up() -> None:
    two = (walk("XBTUSD", 100), walk("ETHUSD", 32, between("2026-08-05", "2026-11-24")))

    assert trades_text(with_walks(*two, seconds=110.0)) == (
        "2 markets, about 132 requests, about 2 minutes (2026-08-01 to 2026-11-23)"
    )


def test_a_plan_whose_price_is_not_known_says_when_it_will_be() -> None:
    assert trades_text(with_walks(walk(requests=None), budget=3_600)) == (
        "1 market (2026-08-01 to 2026-08-10); how many requests it takes is known once the exchange's weekly figures "
        "are; no more than 3,600 this time (--trade-budget)"
    )


def test_a_plan_names_the_budget_where_it_is_too_small() -> None:
    assert trades_text(with_walks(walk(requests=11), budget=10)).endswith(
        "; no more than 10 this time (--trade-budget)"
    )
    assert "budget" not in trades_text(with_walks(walk(requests=10), budget=10))
    assert "budget" not in trades_text(with_walks(walk(requests=10**6)))


def test_a_dry_run_lists_walks_with_their_price() -> None:
    text = render_plan(with_walks(walk(), walk("ETHUSD", 3)), width=120)

    assert "• From trades: 2 markets, about 1,208 requests, about 21 minutes (2026-08-01 to 2026-08-10)\n" in text
    assert (
        "Walks over trades, 2:\n"
        "• XBTUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, about 1.21M trades, 1,205 requests)\n"
        "• ETHUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, about 3.00k trades, 3 requests)\n"
    ) in text


def test_a_plan_without_walks_says_nothing_of_trades() -> None:
    assert "rades" not in render_plan(planned())


def test_of_many_walks_the_first_are_listed() -> None:
    text = render_plan(with_walks(*(walk(f"M{number}USD", 1) for number in range(25))), width=120)

    assert "Walks over trades, 25:\n" in text
    assert text.count(" 1 request)") == 20
    assert "… and 5 more\n" in text


def test_the_table_of_slots_has_a_column_for_trades_where_some_come_from_there() -> None:
    line = PlanLine(Interval.M60, 1_000, 100, 200, 10, 20, 70, from_trades=600)
    shown = render_plan(replace(with_walks(walk()), lines=(line,)), width=120)

    assert "Interval  Slots  Known  Files  Derived  API  Trades  Open\n" in shown
    assert "60min     1,000    100    200       20   10     600    70\n" in shown
    sentence = " ".join(render_plan(replace(with_walks(walk()), lines=(line,)), width=40).split())
    assert "200 from files, 20 derived, 10 from the API, 600 from trades; 70 stay open" in sentence


def test_a_plan_as_json_holds_its_walks() -> None:
    found = json.loads(plan_as_json(with_walks(walk(requests=7), budget=3_600)))["plan"]

    span = {"start": f"{PART.start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{PART.end:%Y-%m-%dT%H:%M:%SZ}"}
    [walked] = found["walks"]
    assert walked == {"market": "XBTUSD", "slots": 14_400, "parts": [span], "trades": 7_000.0, "requests": 7}
    assert (found["walk_requests"], found["walk_seconds"], found["trade_budget"]) == (7, 1_250.0, 3_600)
