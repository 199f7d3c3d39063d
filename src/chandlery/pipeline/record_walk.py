"""Record what a walk over trades has brought: coverage, traded days and the job's progress, together."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from chandlery.candles.evidence import Coverage, answered
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.models import IngestionJob, Market
from chandlery.pipeline.record import outdate_derived, record_answers
from chandlery.stores.base import CandleStore, Written


def record_walked(
    job: IngestionJob,
    market: Market,
    answers: Coverage,
    written: Written,
    candles: TimeRange | None,
    store: CandleStore,
    now: datetime,
) -> None:
    """`answers` are what was walked at one minute; `candles` spans those rebuilt, None where nobody traded."""
    span = answered(answers).span
    assert span is not None, "what is stored has been answered for"
    first, last = (candles.start, candles.end - Interval.M1.delta) if candles else (None, None)
    with transaction.atomic():
        # Even where every candle was there already: a run that was killed may have put them there.
        outdate_derived(market, Interval.M1, span, store, now)
        record_answers(market, Interval.M1, answers, written, store, now, first, last)
        job.count(candles_fetched=written.inserted, candles_revised=written.replaced)
