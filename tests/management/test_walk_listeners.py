"""The ledger, its audit and walks, in a log and on a terminal."""

import re

from chandlery.pipeline.events import AskDone, Event, FillDone, GapsFound, LedgerAsked, WalkFailed
from tests.management.runs import JOB, edge_moved, ended, started
from tests.management.test_log_listener import logged
from tests.management.test_terminal_listener import lines
from tests.management.walks import audited, page, walk, walk_done, walk_started

ASKED = LedgerAsked(3, 0, 0, 2, 5, 1.2)
FOUND = GapsFound(3, 1_234, 1, 1, 1)
EXAMPLE = "XBTUSD 60min: 2026-08-06 to 2026-08-12 holds 120,000 trades, the exchange counts 130,000"
LEDGER = "ledger: weekly figures of 3 markets, the first trade of 2 markets; 5 requests in 1.2 s"
AUDIT = "audit: 1,234 weeks of 8 series compared with the ledger: 1,230 confirmed, 4 contradicted"
WALKED = "3 markets walked: 1,203,456 trades on 1,210 pages, 134,000 new candles; 1,212 requests in 1,250.0 s"
UNPAID = "what is left of 1 market is walked by the next run, or with --trade-budget N"
STUCK = WalkFailed("XBTUSD", "Kraken gave no usable answer to Trades of XBTUSD in 5 attempts; the last time: HTTP 503.")


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


# ---------------------------------------------------------------------------------------------------------------- a log


def test_a_log_tells_the_ledger_before_gaps_and_what_came_of_them_after() -> None:
    assert logged([ASKED, audited(examples=(EXAMPLE,)), FOUND, walk_done(), audited(short=0)]) == [
        f"Step 4/6: Gaps: {LEDGER}",
        f"Step 4/6: Gaps: {AUDIT}",
        f"  CONTRADICTED {EXAMPLE}",
        "Step 4/6: Gaps: 3 gaps (1,234 candles): 1 derivable, 1 API-fillable, 1 requires CSV",
        f"Step 5/6: Fill: {WALKED}",
        "Step 5/6: Fill: audit: 1,234 weeks of 8 series compared with the ledger: 1,234 confirmed",
    ]


def test_a_log_tells_the_price_of_a_walk_and_what_it_came_to() -> None:
    told = logged([walk_started(walk(), walk("ETHUSD", 3)), walk_done()])

    assert told == [
        "Step 5/6: Fill: walking over the trades of 2 markets: about 1,208 requests (1.21M trades), about 21 minutes",
        f"Step 5/6: Fill: {WALKED}",
    ]


def test_at_verbosity_2_a_log_names_each_walk() -> None:
    told = logged([walk_started(walk(requests=None))], verbosity=2)

    assert told[1] == "  walk: XBTUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, price not known yet)"


def test_the_way_of_a_walk_is_logged_at_most_every_tenth() -> None:
    pages = [page(f"2026-08-{day:02} {hour:02}:00") for day in range(1, 11) for hour in range(0, 24, 2)]
    told = logged([walk_started(walk(requests=120)), *pages, walk_done()])

    tenths = [line for line in told if "%" in line]
    assert [line.split(",")[0] for line in tenths] == [f"Step 5/6: Fill: {tenth}0%" for tenth in range(1, 10)]
    # The clock of these tests goes on by a second a page.
    assert tenths[4] == "Step 5/6: Fill: 50%, 60 pages, 60.0k trades, ETA 1:00"


def test_a_walk_without_a_price_has_no_tenths() -> None:
    pages = [page(f"2026-08-{day:02}") for day in range(1, 11)]

    assert not [line for line in logged([walk_started(walk(requests=None)), *pages]) if "%" in line]


def test_a_second_walk_of_a_run_is_told_from_its_beginning() -> None:
    run: list[Event] = [walk_started(walk(requests=2)), page("2026-08-06"), walk_done()]
    told = logged([*run, walk_started(walk("ETHUSD", 5)), page("2026-08-03", "ETHUSD")])

    assert [re.sub(r", ETA.*", "", line) for line in told if "%" in line] == [
        "Step 5/6: Fill: 50%, 1 page, 1.00k trades",
        "Step 5/6: Fill: 20%, 1 page, 1.00k trades",
    ]


def test_a_log_tells_what_a_spent_budget_left_and_what_differs() -> None:
    spent, differing = logged([walk_done(unpaid=1, conflicting=2)])[1:]

    assert spent == f"Step 5/6: Fill: the trade budget is spent; {UNPAID}"
    assert differing.startswith("Step 5/6: Fill: 2 candles of the trades differ from another source; ")


def test_a_walk_that_failed_is_an_error_told_once() -> None:
    error = STUCK.error
    told: list[Event] = [STUCK, walk_done(failed=1), ended("COMPLETED", ("trades of XBTUSD", error))]

    assert logged(told, verbosity=0) == [f"FAILED {error}"]
    assert logged(told)[-1] == f"Job {JOB} COMPLETED, 1 API failure"


def test_weekly_figures_that_did_not_come_are_told_at_the_end() -> None:
    failure = ("figures of XBTUSD", "no answer to OHLC of XBTUSD")
    told: list[Event] = [LedgerAsked(2, 1, requests=7, seconds=9.0), ended("COMPLETED", failure)]

    assert logged(told, verbosity=0) == ["FAILED figures of XBTUSD: no answer to OHLC of XBTUSD"]


def test_after_a_walk_that_was_cut_short_nothing_derived_is_not_nothing_to_derive() -> None:
    assert logged([walk_done(1, of=3), FillDone(0, 0, 0)])[-1] == "Step 5/6: Fill: nothing derived"
    assert logged([walk_done(), FillDone(0, 0, 0)])[-1] == "Step 5/6: Fill: nothing to derive"


def test_of_an_incremental_run_nobody_hears_of_ledger_and_walks() -> None:
    run: list[Event] = [
        started("TIER1"),
        ASKED,
        audited(short=0),
        FOUND,
        walk_started(walk()),
        page("2026-08-06"),
    ]
    run += [walk_done(unpaid=1), AskDone(0, 0, 0, 0, 0, 0.0), FillDone(0, 0, 0), edge_moved(0), ended()]

    assert logged(run, incremental=True) == []
    assert f"Step 5/6: Fill: {WALKED}" in logged(run, verbosity=2, incremental=True)


def test_of_an_incremental_run_one_hears_what_the_ledger_contradicts() -> None:
    run: list[Event] = [started("TIER1"), ASKED, FOUND, audited(examples=(EXAMPLE,)), edge_moved(0), ended()]

    assert logged(run, incremental=True)[:2] == [f"Step 5/6: Fill: {AUDIT}", f"  CONTRADICTED {EXAMPLE}"]
    assert logged(run, verbosity=0, incremental=True) == []


# ----------------------------------------------------------------------------------------------------------- a terminal


def test_a_terminal_shows_the_ledger_with_the_gaps() -> None:
    shown = lines([ASKED, audited(examples=(EXAMPLE,)), FOUND], width=140)

    assert shown[1:] == [
        "Step 4/6: Gaps",
        f"  ✓ {sentence(LEDGER)}",
        f"  {sentence(AUDIT)}",
        f"  ! {EXAMPLE}",
        "  Found 3 gaps (1,234 candles): 1 derivable, 1 API-fillable, 1 requires CSV",
    ]


def test_an_audit_after_filling_stays_in_its_step() -> None:
    shown = lines([FOUND, walk_done(), audited(short=0), FillDone(0, 0, 0)], width=140)

    assert [line for line in shown if line.startswith("Step")] == ["Step 4/6: Gaps", "Step 5/6: Fill"]
    assert "  Audit: 1,234 weeks of 8 series compared with the ledger: 1,234 confirmed" in shown


def test_figures_that_did_not_come_are_marked() -> None:
    assert any(line.startswith("  ✗ Ledger: ") for line in lines([LedgerAsked(2, 1)], width=140))


def test_a_terminal_shows_the_price_then_the_bar_then_what_came_of_it() -> None:
    shown = lines([walk_started(walk()), page("2026-08-06"), walk_done()], width=140)

    price = "  Walking over the trades of 1 market: about 1,205 requests (1.21M trades), about 21 minutes"
    assert shown.count(price) == 1
    assert any(re.search(r"━+ 0 pages, 0 trades, ETA 20:50$", line) for line in lines([walk_started(walk())]))
    assert any(re.search(r"━+ 1 page, 1.00k trades, ETA 20:50$", line) for line in shown)
    assert "  XBTUSD 2026-08-06 00:00" in shown
    assert shown[-1] == f"  ✓ {sentence(WALKED)}"


def test_below_the_bar_stands_how_far_each_market_is_that_is_being_walked() -> None:
    pages = [page("2026-08-06", "XBTUSD"), page("2026-08-03 07:30", "ETHUSD", "XBTUSD", "ETHUSD", "SOLUSD")]
    shown = lines([walk_started(walk(), walk("ETHUSD"), walk("SOLUSD")), *pages], width=140)

    assert "  XBTUSD 2026-08-06 00:00, ETHUSD 2026-08-03 07:30" in shown


def test_a_page_without_a_bar_shows_nothing() -> None:
    assert lines([page("2026-08-06")]) == []


def test_a_walk_that_was_cut_short_is_marked_and_says_why() -> None:
    shown = lines([walk_done(3, unpaid=1)], width=140)

    assert f"  ! {sentence(WALKED)}" in shown
    assert f"  ! The trade budget is spent; {UNPAID}" in shown
    assert any(line.startswith("  ✗ 3 markets walked, 1 failed: ") for line in lines([walk_done(failed=1)], width=140))
    assert any(line.startswith("  ! 1 of 3 markets walked: ") for line in lines([walk_done(1, of=3)], width=140))


def test_a_terminal_tells_a_failed_walk_once() -> None:
    shown = lines([STUCK, ended("COMPLETED", ("trades of XBTUSD", STUCK.error))], width=140)

    assert sum(STUCK.error in line for line in shown) == 1


def test_at_verbosity_2_each_walk_is_shown() -> None:
    shown = lines([walk_started(walk(), walk("ETHUSD", 3))], verbosity=2, width=140)

    assert "  → XBTUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, about 1.21M trades, 1,205 requests)" in shown
    assert "  → ETHUSD: 2026-08-01 to 2026-08-10 (14,400 minutes, about 3.00k trades, 3 requests)" in shown


def test_at_verbosity_0_a_terminal_shows_the_failed_walk_alone() -> None:
    run: list[Event] = [ASKED, audited(), walk_started(walk()), page("2026-08-06"), STUCK, walk_done(failed=1)]

    assert [line for line in lines(run, verbosity=0, width=140) if line] == [f"  ✗ {STUCK.error}"]


def test_no_line_of_walks_is_wider_than_the_terminal() -> None:
    many = [walk(f"MARKET{number}USD", 10**6) for number in range(9)]
    names = [one.market for one in many]
    run: list[Event] = [ASKED, audited(examples=(EXAMPLE,)), walk_started(*many, budget=7)]
    run += [page("2026-08-06", name, *names) for name in names]

    assert max(map(len, lines([*run, STUCK, walk_done(unpaid=9)], verbosity=3))) <= 80
