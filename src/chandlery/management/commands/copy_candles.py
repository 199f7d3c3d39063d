"""The candles of one store into another: a lake into a database, or back."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.db import transaction

from chandlery.candles.series import Series
from chandlery.errors import ChandleryError, UsageError
from chandlery.exchanges.kraken.names import resolve
from chandlery.management.arguments import add_workers, names
from chandlery.management.base import ChandleryCommand, surroundings
from chandlery.models import StoreBinding
from chandlery.pipeline.binding import bind
from chandlery.pipeline.copy import Copied, copy_all
from chandlery.pipeline.lease import Held, everything_held
from chandlery.pipeline.workers import worker_pool, workers_watched
from chandlery.stores import open_store
from chandlery.stores.base import CandleStore


class NothingToCopy(UsageError):
    """{url} holds no candles{of}; name the store that does with --from"""


class OneStore(UsageError):
    """--from and --to name the same store, {url}; name another one"""


class NotACopy(ChandleryError):
    """{different} of {series} series differ after they were copied, {example} first: the other store held better
    answers for some slots. Copy into an empty store, or see the difference with: {program} compare_candles"""


class NotTheState(UsageError):
    """--switch is for a copy of the store that the state in the database speaks of, as a whole; {url} is another one"""


class OthersThere(UsageError):
    """{url} holds {others} series that {source} does not, {example} first; --switch needs an empty
    store to copy into"""


class StoppedCopying(ChandleryError):
    """Stopped; what was copied stands, run the same command again for the rest"""

    exit_status = 130


class Command(ChandleryCommand):
    help = (
        "Copy candles from one store into another, with what they were made from, and compare counts and checksums of "
        "each series. What is there already is not written again, so an interrupted copy goes on when it is repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        store = "parquet:FOLDER or questdb://user:password@host:9000/table"
        parser.add_argument("--from", dest="here", metavar="STORE", help=f"{store} (default: CANDLE_STORE)")
        parser.add_argument("--to", dest="there", metavar="STORE", help=f"{store} (default: CANDLE_STORE)")
        parser.add_argument("--markets", nargs="+", default=[], metavar="NAME", help="only these markets")
        parser.add_argument(
            "--switch",
            action="store_true",
            help="then let the state in the database speak of the copy; name that one in CANDLE_STORE afterwards",
        )
        add_workers(parser)
        parser.add_argument("-y", "--yes", action="store_true", help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        self.prepare_state()
        around = surroundings()
        urls = [options["here"] or around.store_url, options["there"] or around.store_url]
        here, there = (open_store(url, around.home) for url in urls)
        series = _wanted(here, options["markets"])
        if there.identity() == here.identity():
            raise OneStore(url=here.url)
        if options["switch"]:
            _check_switch(here, there, options["markets"])
        # No run may write to either meanwhile.
        with everything_held("copy_candles", around.time_of_day) as held:
            there.create()
            found = list(self._copied(series, urls, options["workers"], held))
            _check(found)
            if options["switch"]:
                with transaction.atomic():
                    held.check()
                    bind(there, around.clock(), switch=True)
                self.stdout.write(f"The state speaks of {there.url} now: name it in CANDLE_STORE.")

    def _copied(self, series: list[Series], urls: list[str], workers: int, held: Held) -> Iterator[Copied]:
        """Each series as it is through, told in a line. Raises StoppedCopying, LeaseLost."""
        home = surroundings().home
        try:
            with workers_watched(), worker_pool(workers) as executor:
                copies = copy_all(series, urls[0], urls[1], home, executor, held.beat)
                for number, copied in enumerate(copies, 1):
                    self.stdout.write(_line(number, len(series), copied))
                    yield copied
        except KeyboardInterrupt as error:
            raise StoppedCopying from error


def _line(number: int, of: int, copied: Copied) -> str:
    what = "copied" if copied.written else "there already"
    if not copied.identical:
        what = f"DIFFERS: {copied.after.candles:,} candles, {copied.after.checksum[:12]} there"
    here = copied.here
    return f"[{number}/{of}] {copied.series}: {here.candles:,} candles, {here.checksum[:12]}, {what}"


def _wanted(here: CandleStore, asked: list[str]) -> list[Series]:
    """What is to be copied. Raises NothingToCopy, UnknownMarket."""
    held = list(here.series()) if here.identity() is not None else []
    markets = {one.market for one in held}
    wanted = {name if name in markets else resolve(name).altname for name in names(asked)}
    series = [one for one in held if not wanted or one.market in wanted]
    if not series:
        raise NothingToCopy(url=here.url, of=f" of {', '.join(sorted(wanted))}" if wanted else "")
    return series


def _check_switch(here: CandleStore, there: CandleStore, markets: list[str]) -> None:
    """Raises NotTheState, OthersThere."""
    binding = StoreBinding.objects.first()
    if markets or binding is None or binding.store_id != here.identity():
        raise NotTheState(url=here.url)
    others = sorted(set(there.series()) - set(here.series()))
    if others:
        raise OthersThere(url=there.url, others=len(others), source=here.url, example=others[0])


def _check(found: list[Copied]) -> None:
    """Raises NotACopy."""
    different = sorted(one.series for one in found if not one.identical)
    if different:
        raise NotACopy(different=len(different), series=len(found), example=different[0], program=settings.PROGRAM)
