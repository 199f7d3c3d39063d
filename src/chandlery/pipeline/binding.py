"""State speaks of one candle store. Another, or an emptied one, is refused before anything is believed of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from chandlery.candles.interval import Interval
from chandlery.candles.series import Series
from chandlery.errors import ChandleryError
from chandlery.models import DataCoverageRange, StoreBinding, TradedDays
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore


class StoreEmptied(ChandleryError):
    """CANDLE_STORE {url} is empty or not there, but the state in the database speaks of {candles:,} candles in it;
    point CANDLE_STORE back, or repair with: {repair}"""


class StoreExchanged(ChandleryError):
    """CANDLE_STORE {url} is not the store that the state in the database speaks of ({known}); point CANDLE_STORE
    back, or repair with: {repair}"""


class StoreUnknown(ChandleryError):
    """CANDLE_STORE {url} holds candles of which the state in the database knows nothing; point CANDLE_STORE or
    DATABASE_URL elsewhere, or take them in with: {repair}"""


class StoreIncomplete(ChandleryError):
    """CANDLE_STORE {url} lacks {missing} of {known} series that the state in the database has candles of, {example}
    first; restore them, or repair with: {repair}"""


def checked_store(url: str, home: Path) -> CandleStore:
    """The store, if it is what state speaks of, series by series; nothing is written. Raises one of these errors."""
    store = identified_store(url, home)
    _check_series(store)
    return store


def identified_store(url: str, home: Path) -> CandleStore:
    """The store, if it is the one that state speaks of; whether it has lost series is not looked at. For whoever only
    reads, and often. Raises StoreEmptied, StoreExchanged, StoreUnknown.
    """
    store = open_store(url, home)
    binding = StoreBinding.objects.first()
    identity = store.identity()
    known = DataCoverageRange.objects.exists() or TradedDays.objects.filter(candles__gt=0).exists()
    if identity is None and known:
        raise StoreEmptied(url=store.url, candles=_candles_on_record(), repair=_repair())
    if binding is not None and identity is not None and identity != binding.store_id and (known or any(store.series())):
        raise StoreExchanged(url=store.url, known=binding.url, repair=_repair())
    # A run that was killed before it recorded anything leaves candles in the store that state is bound to.
    if not known and binding is None and any(store.series()):
        raise StoreUnknown(url=store.url, repair=_repair())
    return store


def bind(store: CandleStore, now: datetime, *, switch: bool = False) -> None:
    """Remember `store` as the one that state speaks of; make it if it is not there. Raises StoreExchanged where
    another run has bound the state to another one since this was checked, unless it is to `switch`.
    """
    identity, url = store.create(), store.url
    facts = {"store_id": identity, "url": url, "bound_at": now}
    with transaction.atomic():
        row, is_new = StoreBinding.objects.select_for_update().get_or_create(pk=1, defaults=facts)
        if is_new or (row.store_id, row.url) == (identity, url):
            return
        if not switch and row.store_id != identity and DataCoverageRange.objects.exists():
            raise StoreExchanged(url=url, known=row.url, repair=_repair())
        row.store_id, row.url, row.bound_at = identity, url, now
        row.save()


def _repair() -> str:
    return f"{settings.PROGRAM} rebuild_state"


def _candles_on_record() -> int:
    return sum(TradedDays.objects.values_list("candles", flat=True))


def _check_series(store: CandleStore) -> None:
    rows = TradedDays.objects.filter(candles__gt=0).values_list(
        "market__exchange", "market__altname", "interval_minutes"
    )
    known = {Series(exchange, altname, Interval(minutes)) for exchange, altname, minutes in rows}
    if not known:
        return
    missing = sorted(known - set(store.series()))
    if missing:
        raise StoreIncomplete(
            url=store.url, missing=len(missing), known=len(known), example=missing[0], repair=_repair()
        )
