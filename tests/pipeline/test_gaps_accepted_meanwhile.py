"""A person accepts a gap while a run works on it: it stays accepted."""

from datetime import timedelta

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.candles.timerange import RangeSet
from chandlery.models import GapRecord, GapStatus
from chandlery.pipeline.detect import mark_attempted
from tests.factories import NOW, GapRecordFactory, MarketFactory

pytestmark = pytest.mark.django_db


def test_a_gap_that_was_accepted_since_it_was_read_is_not_marked_as_asked_for() -> None:
    gap = GapRecordFactory.create(market=MarketFactory.create(base__ticker="XBT"))
    read = GapRecord.objects.select_related("market").get()
    GapRecord.objects.update(status=GapStatus.ACCEPTED)
    mark_attempted([read], {Series("kraken", "XBTUSD", Interval.M60): RangeSet([gap.range])}, NOW)
    assert GapRecord.objects.get().status == GapStatus.ACCEPTED


def test_a_run_that_ends_gives_up_only_what_was_asked_for_of_its_own_intervals() -> None:
    market = MarketFactory.create(base__ticker="XBT")
    asked = {"market": market, "status": GapStatus.BACKFILLING}
    ours = GapRecordFactory.create(**asked)
    another = GapRecordFactory.create(**asked, interval_minutes=5, gap_end=NOW.replace(minute=0) + timedelta(days=1))
    GapRecord.objects.give_up_backfilling([market], [60])
    assert GapRecord.objects.get(pk=ours.pk).status == GapStatus.DETECTED
    assert GapRecord.objects.get(pk=another.pk).status == GapStatus.BACKFILLING
