"""Outages on record: each keeps its row for as long as it is found, longer or shorter."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.db import IntegrityError

from chandlery.candles.audit.outage import VenueOutage, Witness
from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.models import Outage
from tests.candles.builders import between
from tests.factories import NOW

pytestmark = pytest.mark.django_db

NIGHT = between("2024-02-10 21:30", "2024-02-11 02:40")
SPRING = between("2024-04-10 09:00", "2024-04-10 12:00")
LATER = NOW + timedelta(days=1)
#: Each saw a trade or none.
SILENT = (Witness("ETHUSD", "ETH", 310.04, 1), Witness("SOLUSD", "SOL", 99.0, 0))


def outage(within: TimeRange = NIGHT, *markets: str, weak: bool = False) -> VenueOutage:
    return VenueOutage(within, markets or ("ETHUSD", "SOLUSD", "XBTUSD"), weak, SILENT)


def settle(*found: VenueOutage, looked_at: Sequence[Outage] | None = None) -> int:
    """What was found when these, else all that are on record, were looked at again."""
    again = list(Outage.objects.all()) if looked_at is None else looked_at
    return Outage.objects.reconcile("kraken", found, again, LATER)


def rows() -> list[tuple[int, TimeRange]]:
    return [(row.pk, row.range) for row in Outage.objects.order_by("start")]


# ------------------------------------------------------------------------------------------------------------ reconcile


def test_what_is_found_is_on_record() -> None:
    assert settle(outage(weak=True)) == 1

    row = Outage.objects.get()
    assert (row.exchange, row.range, row.weak, row.found_at) == ("kraken", NIGHT, True, LATER)
    assert row.markets == ["ETHUSD", "SOLUSD", "XBTUSD"]


def test_what_others_saw_is_its_evidence() -> None:
    settle(outage())

    assert Outage.objects.get().evidence == {
        "witnesses": [
            {"market": "ETHUSD", "due": 310.0, "seen": 1},
            {"market": "SOLUSD", "due": 99.0, "seen": 0},
        ]
    }


def test_found_again_it_changes_nothing() -> None:
    settle(outage())
    before = list(Outage.objects.values())

    assert settle(outage()) == 0
    assert list(Outage.objects.values()) == before


@pytest.mark.parametrize(
    "now",
    [between("2024-02-10 20:00", "2024-02-11 04:00"), between("2024-02-10 23:00", "2024-02-11 01:00")],
    ids=["grows", "shrinks"],
)
def test_it_keeps_its_row_while_it_grows_or_shrinks(now: TimeRange) -> None:
    settle(outage())
    [(number, _)] = rows()

    assert settle(outage(now)) == 1
    assert rows() == [(number, now)]


def test_when_it_was_found_stays_as_it_was() -> None:
    Outage.objects.reconcile("kraken", [outage()], [], NOW)

    settle(outage(between("2024-02-10 23:00", "2024-02-11 01:00")))

    assert Outage.objects.get().found_at == NOW


@pytest.mark.parametrize("now", [outage(NIGHT, "XBTUSD"), outage(weak=True)], ids=["markets", "weak"])
def test_found_with_other_markets_or_fewer_witnesses_it_is_put_down_anew(now: VenueOutage) -> None:
    settle(outage())

    assert settle(now) == 1
    row = Outage.objects.get()
    assert (tuple(row.markets), row.weak) == (now.markets, now.weak)


def test_of_one_that_falls_in_two_the_earlier_keeps_the_row() -> None:
    settle(outage())
    [(number, _)] = rows()
    first = between("2024-02-10 21:30", "2024-02-10 23:00")
    second = between("2024-02-11 01:00", "2024-02-11 02:40")

    assert settle(outage(first), outage(second)) == 2
    assert [within for _, within in rows()] == [first, second]
    assert rows()[0][0] == number


def test_two_that_turn_out_to_be_one_leave_one_row() -> None:
    settle(outage(between("2024-02-10 21:30", "2024-02-10 23:00")))
    Outage.objects.reconcile("kraken", [outage(between("2024-02-11 01:00", "2024-02-11 02:40"))], [], NOW)
    [(number, _), _] = rows()

    assert settle(outage()) == 2
    assert rows() == [(number, NIGHT)]


def test_what_is_found_no_more_is_gone() -> None:
    settle(outage())

    assert settle() == 1
    assert rows() == []


def test_what_was_not_looked_at_is_left_alone() -> None:
    settle(outage(), outage(SPRING))
    before = rows()

    assert settle(looked_at=[]) == 0
    assert rows() == before


def test_a_part_found_of_one_that_was_not_looked_at_takes_nothing_from_it() -> None:
    settle(outage())
    before = list(Outage.objects.values())

    assert settle(outage(between("2024-02-10 22:00", "2024-02-10 23:00"), "XBTUSD"), looked_at=[]) == 0
    assert list(Outage.objects.values()) == before


def test_one_that_begins_where_another_ends_is_another() -> None:
    settle(outage())
    after = TimeRange(NIGHT.end, NIGHT.end + timedelta(hours=3))

    assert settle(outage(after), looked_at=[]) == 1
    assert [within for _, within in rows()] == [NIGHT, after]


def test_an_outage_of_another_exchange_is_another_outage() -> None:
    Outage.objects.reconcile("lake", [outage()], [], NOW)

    assert settle(outage(), looked_at=[]) == 1
    assert Outage.objects.count() == 2


# ---------------------------------------------------------------------------------------------------------- overlapping


def overlapping(*within: TimeRange, exchange: str = "kraken") -> list[TimeRange]:
    return [row.range for row in Outage.objects.overlapping(exchange, RangeSet(within))]


def test_outages_that_overlap_any_range_come_in_order() -> None:
    settle(outage(SPRING), outage())

    assert overlapping(SPRING, between("2024-02-11", "2024-02-12")) == [NIGHT, SPRING]


def test_an_outage_between_the_ranges_does_not_overlap_them() -> None:
    settle(outage())

    assert overlapping(between("2024-02-09", "2024-02-10"), between("2024-02-12", "2024-02-13")) == []


def test_an_outage_that_only_touches_does_not_overlap() -> None:
    settle(outage())

    assert overlapping(between("2024-02-11 02:40", "2024-02-12"), between("2024-02-10", "2024-02-10 21:30")) == []


def test_nothing_overlaps_no_time_at_all() -> None:
    settle(outage())

    assert overlapping() == []


def test_outages_of_another_exchange_do_not_overlap() -> None:
    settle(outage())

    assert overlapping(NIGHT, exchange="lake") == []


# ------------------------------------------------------------------------------------------------------------- the row


def test_the_database_refuses_an_outage_that_ends_before_it_starts() -> None:
    with pytest.raises(IntegrityError):
        Outage.objects.create(start=NIGHT.end, end=NIGHT.start, found_at=NOW)


@pytest.mark.parametrize(("weak", "mark"), [(False, ""), (True, " (weak)")])
def test_an_outage_is_called_by_its_exchange_and_its_time(weak: bool, mark: str) -> None:
    settle(outage(weak=weak))

    assert str(Outage.objects.get()) == f"kraken 2024-02-10 21:30 to 2024-02-11 02:40{mark}"


def test_an_outage_that_grows_into_one_that_was_not_looked_at_does_not_vanish() -> None:
    early, late = between("2024-02-10 21:30", "2024-02-10 23:00"), between("2024-02-11 01:00", "2024-02-11 02:40")
    settle(outage(early), outage(late))

    settle(outage(), looked_at=[Outage.objects.order_by("start")[0]])

    assert any(one.contains(early) for _, one in rows())
