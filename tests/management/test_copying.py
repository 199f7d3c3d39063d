"""copy_candles --switch: what the state speaks of changes only while nobody else can have written."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from chandlery.candles.evidence import Origin, Source
from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.management.base import Error
from chandlery.management.commands import copy_candles
from chandlery.models import Lease, StoreBinding
from chandlery.pipeline.binding import bind
from chandlery.pipeline.copy import Copied
from chandlery.stores.parquet import ParquetLake
from tests.candles.builders import at, candles_at

pytestmark = pytest.mark.django_db


def test_a_lease_that_was_lost_meanwhile_leaves_the_state_as_it_is(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = ParquetLake(home / "data" / "candles")
    lake.write(Series("kraken", "XBTUSD", Interval.M60), candles_at(at("2024-03-31 12:00")), Origin(Source.TRADES))
    bind(lake, at("2024-04-01"))

    def taken_over(*_: Any) -> Iterator[Copied]:
        Lease.objects.all().delete()
        return iter(())

    monkeypatch.setattr(copy_candles, "copy_all", taken_over)
    monkeypatch.setattr(copy_candles, "worker_pool", lambda _: nullcontext())
    with pytest.raises(Error, match=r"The lease of copy_candles is gone: .* run the same command again"):
        call_command("copy_candles", "--to", "parquet:there", "--switch")
    assert StoreBinding.objects.get().store_id == lake.identity()
