"""The audit of candles, in a log and on a terminal."""

from dataclasses import replace

from chandlery.pipeline.events import (
    AuditStarted,
    CandlesAudited,
    Event,
    FillDone,
    FillStarted,
    GapsFound,
    MarketAudited,
)
from tests.management.runs import edge_moved, ended, incremental_run, started
from tests.management.test_log_listener import logged
from tests.management.test_terminal_listener import drawn, lines
from tests.management.walks import walk_done

EXAMPLE = "XBTUSD 1440min, 2024-03-31: another interval counts more trades (0 here, 6,623 at 720min)"
SPIKE = "ETHUSD 60min, 2024-03-30 12:00 to 13:00 UTC: a price far off that is back at once (99000, 3 times)"
QUIET = CandlesAudited(markets=2, series=8, opened=0, suspect=0, resolved=0, outages=0)
SUSPECT = replace(QUIET, opened=2, suspect=1, examples=(EXAMPLE, SPIKE))
MILD = replace(QUIET, opened=1, examples=(SPIKE,))
FOUND = GapsFound(3, 1_234, 1, 1, 1)

LOOKED = "audit: candles of 8 series looked through: "
AMISS = f"{LOOKED}2 findings, 1 of them SUSPECT"


def sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def looking(*markets: str) -> list[Event]:
    """Markets that are looked through, one after the other."""
    return [AuditStarted(len(markets)), *(MarketAudited(market) for market in markets)]


# ---------------------------------------------------------------------------------------------------------------- a log


def test_a_log_tells_what_an_audit_found_and_a_few_examples() -> None:
    assert logged([*looking("XBTUSD", "ETHUSD"), SUSPECT, FOUND]) == [
        f"Step 4/6: Gaps: {AMISS}",
        f"  {EXAMPLE}",
        f"  {SPIKE}",
        "Step 4/6: Gaps: 3 gaps (1,234 candles): 1 derivable, 1 API-fillable, 1 requires CSV",
    ]


def test_a_log_says_that_nothing_is_amiss() -> None:
    assert logged([*looking("XBTUSD"), QUIET]) == [f"Step 4/6: Gaps: {LOOKED}nothing amiss"]


def test_a_log_does_not_tell_market_by_market() -> None:
    assert logged(looking("XBTUSD", "ETHUSD")) == []


def test_what_is_looked_through_after_the_walks_belongs_to_the_fill() -> None:
    told = logged([QUIET, FOUND, walk_done(), QUIET])

    assert told[-1] == f"Step 5/6: Fill: {LOOKED}nothing amiss"


def test_examples_in_a_log_have_no_escape_code() -> None:
    told = logged([replace(SUSPECT, examples=("X\x1b[2J\n60min",))])

    assert told[1:] == ["  X\\x1b[2J\\n60min"]


def test_at_verbosity_0_a_log_tells_nothing_of_an_audit() -> None:
    assert logged([*looking("XBTUSD"), SUSPECT, QUIET], verbosity=0) == []


def test_a_suspect_finding_is_told_even_by_cron() -> None:
    assert logged([*looking("XBTUSD"), SUSPECT], incremental=True) == [
        f"Step 4/6: Gaps: {AMISS}",
        f"  {EXAMPLE}",
        f"  {SPIKE}",
    ]


def test_where_nothing_is_amiss_cron_hears_nothing() -> None:
    assert logged([*looking("XBTUSD"), QUIET], incremental=True) == []


def test_findings_that_contradict_nothing_are_no_news_to_cron() -> None:
    told = [MILD, replace(QUIET, resolved=3), replace(QUIET, outages=1), replace(QUIET, left=("XBTUSD",))]

    assert logged(told, incremental=True) == []


def test_at_verbosity_2_cron_hears_of_every_audit() -> None:
    assert logged([MILD], verbosity=2, incremental=True) == [f"Step 4/6: Gaps: {LOOKED}1 finding", f"  {SPIKE}"]


def test_an_incremental_run_that_finds_nothing_amiss_sends_no_mail() -> None:
    run = incremental_run(moved=edge_moved(0))

    assert logged([*run[:-1], *looking("XBTUSD"), QUIET, run[-1], ended()], incremental=True) == []


# ----------------------------------------------------------------------------------------------------------- a terminal


def test_a_terminal_shows_what_an_audit_found_and_a_few_examples() -> None:
    shown = lines([*looking("XBTUSD", "ETHUSD"), SUSPECT, FOUND], width=140)

    told = [line for line in shown if "audit" in line.lower() or line.startswith("  !")]
    assert told[-3:] == [f"  {sentence(AMISS)}", f"  ! {EXAMPLE}", f"  ! {SPIKE}"]


def test_an_audit_before_the_gaps_stands_under_their_heading_which_is_shown_once() -> None:
    shown = lines([*looking("XBTUSD"), QUIET, FOUND], width=140)

    assert [line for line in shown if line.startswith("Step ")] == ["Step 4/6: Gaps"]
    assert shown.index("Step 4/6: Gaps") < shown.index(f"  {sentence(LOOKED)}nothing amiss")


def test_an_audit_after_the_fill_stands_under_its_heading() -> None:
    shown = lines([FOUND, FillStarted(0), FillDone(0, 0, 0), *looking("XBTUSD"), QUIET], width=140)

    assert [line for line in shown if line.startswith("Step ")] == ["Step 4/6: Gaps", "Step 5/6: Fill"]
    assert shown.index("Step 5/6: Fill") < shown.index(f"  {sentence(LOOKED)}nothing amiss")


def test_the_bar_shows_how_many_markets_were_looked_through_and_which_one() -> None:
    shown = lines([AuditStarted(4), MarketAudited("XBTUSD")], width=80)

    assert any("━" in line and "1 of 4 markets" in line for line in shown)
    assert "  XBTUSD" in shown


def test_what_is_amiss_stands_out() -> None:
    yellow, green = "\x1b[33m", "\x1b[32m"

    assert f"{yellow}  {sentence(AMISS)}" in drawn([SUSPECT], width=140)
    assert f"{green}  {sentence(LOOKED)}nothing amiss" in drawn([QUIET], width=140)


def test_at_verbosity_0_a_terminal_shows_nothing_of_an_audit() -> None:
    assert [line for line in lines([*looking("XBTUSD"), SUSPECT], verbosity=0) if line] == []


def test_examples_on_a_terminal_have_no_escape_code_of_their_own() -> None:
    shown = drawn([replace(SUSPECT, examples=("X\x1b[2J",))], width=140)

    assert "  ! X\\x1b[2J" in shown
    assert "X\x1b[2J" not in shown


def test_the_name_of_a_market_in_the_bar_is_nothing_that_a_terminal_obeys() -> None:
    shown = drawn([AuditStarted(1), MarketAudited("X\x1b[2J")])

    assert "X\\x1b[2J" in shown
    assert "X\x1b[2J" not in shown


def test_no_line_of_an_audit_is_wider_than_the_terminal() -> None:
    names = [f"MARKET{number}USD" for number in range(9)]

    shown = lines([started(), *looking(*names), replace(SUSPECT, left=tuple(names))])

    assert max(map(len, shown)) <= 80
