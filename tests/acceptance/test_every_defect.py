"""Whatever the sandbox can do to an archive, alone and together: found, named, mended, and nothing else suspected."""

from datetime import timedelta
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.models import CandleAudit, FindingKind, FindingState, Outage, QualityFinding
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Edition
from tests.acceptance.in_process import Runs
from tests.acceptance.planted import CAST, END, plant
from tests.acceptance.walked import NOW, check_candles, served

#: Of 50 seeds, the first ten plant one kind of defect each.
SEEDS = [pytest.param(seed, marks=[] if seed == 17 else [pytest.mark.slow]) for seed in range(50)]
MINUTES = timedelta(minutes=15)

Told = tuple[str, Interval, FindingKind, TimeRange]


def open_findings() -> list[Told]:
    rows = QualityFinding.objects.filter(state=FindingState.OPEN).select_related("market").order_by("pk")
    return [(row.market.altname, Interval(row.interval_minutes), FindingKind(row.kind), row.range) for row in rows]


def on_record() -> list[tuple[object, ...]]:
    findings = QualityFinding.objects.order_by("pk").values_list("pk", "kind", "start", "end", "state", "resolved_at")
    return [*findings, *Outage.objects.order_by("pk").values_list("pk", "start", "end", "markets", "weak")]


@pytest.mark.django_db
@pytest.mark.parametrize("seed", SEEDS)
def test_every_defect_is_found_named_and_mended_and_none_is_invented(home: Path, seed: int) -> None:
    planted = plant(seed)
    archive = write_archive(
        planted.exchange, Edition.complete("2024Q1", defects=tuple(planted.defects)), home / "archives"
    ).path
    markets = tuple(one.altname for one in CAST)
    runs = Runs(home, Selection(tuple(Interval), markets=markets, end=END), NOW)

    runs.ingest(archive, auto_gap_fill=False)

    found = open_findings()
    unfound = [one for one in planted.expected if not any(one.is_told_by(*told) for told in found)]
    invented = [told for told in found if not any(one.is_told_by(*told) for one in planted.expected)]
    assert (unfound, invented) == ([], [])
    outages = [row.range for row in Outage.objects.all()]
    assert len(outages) == len(planted.outages)
    for told, true in zip(outages, planted.outages, strict=True):
        assert TimeRange(true.start - MINUTES, true.end + MINUTES).contains(told)
        # Trades that got through near its ends make it look shorter.
        assert told.length >= true.length * (0.5 if planted.exchange.trickle else 0.95)

    with served(planted.exchange, NOW) as world:
        api = ApiSettings(world.server.url, rate=0, retry_wait=0)
        runs = Runs(home, runs.selection, NOW, api=api, trade_budget=None)
        runs.ingest(archive)

        assert open_findings() == []
        check_candles(runs.lake, planted.exchange, Interval, END)
        before = on_record()
        CandleAudit.objects.update(whole=True)
        runs.ingest(archive)
        assert on_record() == before
