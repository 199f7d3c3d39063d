"""A backfill from a terminal or a log: gaps found and shown, filled if wanted, and what is left of them."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import transaction

from chandlery.candles.timerange import RangeSet, TimeRange
from chandlery.management.base import ChandleryCommand, surroundings, tiers
from chandlery.management.ingestion import DONE, FAILED, PAUSED, confirmed, follow
from chandlery.management.listeners import FileLog, Listener, Together, listener_for
from chandlery.management.plan_text import MOST_ASKS, api_text, ask_text
from chandlery.pipeline.binding import checked_store
from chandlery.pipeline.events import Event, FilesDone, GapsFound, Planned, SourcesFound
from chandlery.pipeline.job import dry_run
from chandlery.pipeline.markets import ensure_markets, select
from chandlery.pipeline.report import report
from chandlery.pipeline.request import IngestRequest, Selection
from chandlery.pipeline.workers import worker_pool
from chandlery.reporting.completeness import CompletenessReport
from chandlery.reporting.gap_groups import GapGroups, Key, grouped, outcome
from chandlery.reporting.gap_list import found_lines, outcome_lines, unfillable_lines
from chandlery.reporting.unfillable import write_unfillable
from chandlery.reporting.wording import PLAIN_WIDTH, plural, wrapped

#: Steps of a run that reads no file, and of which the gaps have been shown already.
_PASSED_OVER = (SourcesFound, Planned, FilesDone, GapsFound)


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a backfill was asked for. `export`: the file into which the list of files to download goes."""

    from_last: bool = False
    only_fillable: bool = False
    only_unfillable: bool = False
    export: Path | None = None
    dry_run: bool = False
    yes: bool = False

    @property
    def only_looks(self) -> bool:
        """Whether nothing shall be filled."""
        return self.only_unfillable or self.dry_run or (self.export is not None and not self.yes)


@contextmanager
def markets_known(*, dry_run: bool) -> Iterator[None]:
    """Of a dry run whatever it needs of state is there inside, and forgotten afterwards."""
    if not dry_run:
        yield
        return
    with transaction.atomic():
        ensure_markets(tiers())
        yield
        transaction.set_rollback(True)


def backfill(command: ChandleryCommand, selection: Selection, wishes: Wishes, verbosity: int) -> int:
    """Find the gaps, show them, fill them unless `wishes` forbid it; the exit status."""
    out = command.stdout
    columns = shutil.get_terminal_size().columns if out.isatty() else PLAIN_WIDTH
    request = IngestRequest(selection, (), incremental=wishes.from_last, trade_budget=0, workers=settings.WORKERS)
    planned, groups = _look(request)
    if wishes.only_unfillable:
        lines = unfillable_lines(groups, columns)
    else:
        lines = found_lines(groups, columns, only_fillable=wishes.only_fillable)
        lines += ["", *_to_do(planned, groups, wishes, columns)]
    out.write("\n".join(lines) + "\n")
    if wishes.only_looks or not groups.fillable:
        if wishes.dry_run and not wishes.only_unfillable:
            out.write("Nothing was asked for, nothing stored.\n")
        _export(command, groups, wishes)
        return DONE
    if not wishes.yes and not confirmed("Start?"):
        out.write("Not started.\n")
        return PAUSED
    listener: Listener = OnlyFilling(listener_for(out, verbosity))
    if settings.LOG_FILE is not None:
        listener = Together(FileLog(settings.LOG_FILE), listener)
    with worker_pool(request.workers) as executor:
        ended = follow(request, executor, listener, out)
    if ended is None:
        return PAUSED
    became = outcome(groups, _report(selection, ended.until), _unlisted(selection))
    text = "\n".join(outcome_lines(became, groups, columns, only_fillable=wishes.only_fillable))
    out.write(f"{'' if out.isatty() else chr(10)}{text}\n")
    _export(command, became.stays, wishes)
    return FAILED if ended.failures else DONE


def _look(request: IngestRequest) -> tuple[Planned, GapGroups]:
    """What a run would do, and the gaps by what it would leave of them."""
    with ThreadPoolExecutor(1) as unused:  # for archives, of which there are none
        events = dry_run(request, surroundings(), unused, tiers())
    [planned] = [event for event in events if isinstance(event, Planned)]
    left: dict[Key, list[TimeRange]] = defaultdict(list)
    for part in planned.open:
        left[part.market, part.interval] += [part.range] if part.range else []
    made = _report(request.selection)
    return planned, grouped(
        made,
        {key: RangeSet(ranges) for key, ranges in left.items()},
        untold={(part.market, part.interval) for part in planned.open if part.range is None},
        unlisted=_unlisted(request.selection),
        newest=request.incremental,
    )


def _report(selection: Selection, until: datetime | None = None) -> CompletenessReport:
    """Up to now, or to what was wanted when it was asked for."""
    around = surroundings()
    store = checked_store(around.store_url, around.home)
    return report(selection, select(selection), store, until or around.clock())


def _unlisted(selection: Selection) -> set[str]:
    return {market.altname for market in select(selection) if not market.is_listed}


def _to_do(planned: Planned, groups: GapGroups, wishes: Wishes, columns: int) -> list[str]:
    """What filling takes: requests, minutes, derivations."""
    if not groups.gaps and not groups.begun and not groups.unknown:
        if wishes.from_last:
            return ["Nothing to do: nothing new since the last stored slot."]
        return ["Nothing to do: every expected slot has an answer."]
    if not groups.fillable:
        return wrapped("Nothing to do: neither the API nor finer candles close any of it.", columns)
    lines = [f"From the API: {api_text(planned)}"]
    if wishes.dry_run:
        lines += [f"• {ask_text(ask)}" for ask in planned.asks[:MOST_ASKS]]
        if len(planned.asks) > MOST_ASKS:
            lines.append(f"… and {len(planned.asks) - MOST_ASKS:,} more")
    series = {(made.market, made.interval) for made in planned.derivations}
    lines.append(f"Derived from finer intervals: {plural(len(series), 'series', 'series') if series else 'nothing'}")
    return [part for line in lines for part in wrapped(line, columns)]


def _export(command: ChandleryCommand, groups: GapGroups, wishes: Wishes) -> None:
    if wishes.export is not None:
        write_unfillable(groups.unfillable, wishes.export)
        command.stdout.write(f"Files to download: {wishes.export}\n")


class OnlyFilling:
    """Tells another listener of the API and of derivation only."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        if not isinstance(event, _PASSED_OVER):
            self._listener(event)
