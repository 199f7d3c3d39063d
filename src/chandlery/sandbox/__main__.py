"""`python -m chandlery.sandbox`: the fictional exchange from a terminal."""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from chandlery.candles.interval import Interval
from chandlery.errors import ChandleryError, UsageError
from chandlery.sandbox import asking
from chandlery.sandbox.archives import WrittenArchive, write_archive
from chandlery.sandbox.clock import frozen, ticking
from chandlery.sandbox.editions import Container, Edition, Naming, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.faults import Fault
from chandlery.sandbox.quirks import Edges, QuietRows, Quirks
from chandlery.sandbox.rest import SandboxApi, Status
from chandlery.sandbox.server import serve

_EXAMPLES = """examples:
  python -m chandlery.sandbox markets
  python -m chandlery.sandbox archives --out /tmp/kraken --quarters 2024Q1,2024Q2 --manifest
  python -m chandlery.sandbox archives --out /tmp/kraken --complete 2026Q2 --shape split
  python -m chandlery.sandbox archives --out /tmp/files --from 2024-01-01 --to 2024-03-31 --intervals 60,1440
  python -m chandlery.sandbox archives --out /tmp/bad --quarters 2024Q1 \\
      --defect missing-day:day=2024-03-31,interval=1440 --defect cut-last-row:market=XBTUSD,interval=60
  python -m chandlery.sandbox truth --market XBTUSD --interval 60 --from 2024-01-01 --to 2024-01-02
  python -m chandlery.sandbox serve --now 2024-09-01T00:00:30Z --rate 1
  python -m chandlery.sandbox serve --ids-since 2024-03-01T00:00:00Z --edges repeat
  python -m chandlery.sandbox serve --faults 0.2 --fault stall=0.05 --quiet-rows mixed --revises-after 30
"""
_DEFECTS = """a known defect, repeatable: NAME:KEY=VALUE,KEY=VALUE. missing-day:day=2024-03-31, missing-last-slot,
cut-last-row, corrupt-cell:row=12,column=open,text=4x2, corrupt-row:row=12,text=rubbish,
revised:within=2024-02-01..2024-02-03; each narrowed by market=XBTUSD and, except revised, interval=60"""


class Unasked(UsageError):
    """Say what to write: --quarters 2024Q1,2024Q2, --complete 2026Q2, or --from and --to with days."""


class HalfARange(UsageError):
    """--from and --to go together."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
    except ChandleryError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except OSError as error:
        print(": ".join(str(fact) for fact in (error.filename, error.strerror) if fact), file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m chandlery.sandbox",
        description="A fictional exchange that behaves like Kraken: the same seed gives the same history.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    archives = commands.add_parser("archives", help="write archives of candles, as Kraken publishes them")
    archives.set_defaults(run=_archives)
    _add_contents(archives)
    _add_shape(archives)
    truth = commands.add_parser("truth", help="print the candles of one series as CSV")
    truth.set_defaults(run=_truth)
    truth.add_argument("--market", required=True, metavar="NAME", help="such as XBTUSD")
    truth.add_argument("--interval", required=True, metavar="MINUTES", help="1, 5, 15, 30, 60, 240, 720 or 1440")
    truth.add_argument("--from", dest="first", required=True, metavar="DAY", help="the first day, UTC")
    truth.add_argument("--to", dest="last", required=True, metavar="DAY", help="the last day, inclusive")
    markets = commands.add_parser("markets", help="list the markets and their lives")
    markets.set_defaults(run=_markets)
    served = commands.add_parser("serve", help="answer on loopback as Kraken's public REST API does")
    served.set_defaults(run=_serve)
    _add_service(served)
    _add_trouble(served)
    for command in (archives, truth, markets, served):
        command.add_argument("--seed", type=int, default=1, help="another seed is another history (default 1)")
    return parser


def _add_service(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", default="8686", help="of 127.0.0.1; 0 is any that is free (8686)")
    parser.add_argument("--now", metavar="TIME", help="what time it is there, such as 2024-09-01T00:00:30Z (as here)")
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument("--frozen", action="store_true", help="time stands still")
    pace.add_argument("--ticking", dest="frozen", action="store_false", help="time goes on from there (the default)")
    parser.add_argument("--cast", choices=["full", "small"], default="full", help="twelve markets, or three (full)")


def _add_trouble(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how hard it makes it")
    how.add_argument(
        "--rate",
        default="0",
        metavar="N",
        help="requests a second for one market's candles and trades; 0: no limit (0)",
    )
    how.add_argument(
        "--quiet-rows",
        choices=[str(q) for q in QuietRows],
        default="flat",
        help="how slots without a trade show: as rows that count 0, not at all, or now so and now so (flat)",
    )
    how.add_argument(
        "--revises-after",
        default="0",
        metavar="SECONDS",
        help="for so long after its end a candle lacks its last trades (0)",
    )
    how.add_argument(
        "--ids-since", metavar="TIME", help="trades before it have no id, such as 2024-03-01T00:00:00Z (all have)"
    )
    how.add_argument(
        "--edges",
        choices=[str(e) for e in Edges],
        default="lose",
        help="trades of one nanosecond that a page had no room for: the next lacks them, or repeats some (lose)",
    )
    how.add_argument("--status", choices=[str(s) for s in Status], default="online", help="of the exchange (online)")
    how.add_argument("--faults", default="0", metavar="SHARE", help="of requests that go wrong, in every way there is")
    how.add_argument(
        "--fault", action="append", default=[], metavar="NAME=SHARE", help="one way, repeatable: " + ", ".join(Fault)
    )


def _add_contents(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to write")
    what.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="where the archives go")
    what.add_argument("--quarters", default="", metavar="Q,Q", help="an archive for each of these: 2024Q1,2024Q2")
    what.add_argument("--complete", metavar="Q", help="the complete history up to the end of this quarter")
    what.add_argument("--from", dest="first", metavar="DAY", help="files of any days, outside of a release: the first")
    what.add_argument("--to", dest="last", metavar="DAY", help="the last day, inclusive")
    what.add_argument("--markets", metavar="A,B", help="only these (default: all)")
    what.add_argument("--intervals", default=",".join(str(int(i)) for i in Interval), metavar="M,M", help="(all eight)")
    what.add_argument("--defect", action="append", default=[], metavar="DEFECT", help=_DEFECTS)


def _add_shape(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("in which shape")
    how.add_argument("--shape", choices=[str(c) for c in Container], help="(zip for releases, loose for days)")
    how.add_argument("--naming", choices=[str(n) for n in Naming], default="new", help="style of names (new)")
    how.add_argument("--name", help="another name for the archive, one that makes no release of it")
    how.add_argument("--nested", metavar="FOLDER", help="everything in a folder inside, such as master_q4")
    how.add_argument("--macosx", action="store_true", help="with a __MACOSX tree of ._ files")
    how.add_argument("--manifest", action="store_true", help="with a MANIFEST.json")
    how.add_argument("--scientific", action="store_true", help="whole volumes as 3E+1")
    how.add_argument("--zip64", action="store_true", help="in the wide form of archives over 4 GiB")
    how.add_argument("--part-size", type=_above_zero, default=1 << 20, metavar="BYTES", help="of each part (1 MiB)")
    how.add_argument(
        "--workers", type=_above_zero, default=os.cpu_count() or 1, metavar="N", help="processes (one a core)"
    )


def _above_zero(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above zero")
    return int(text)


def _archives(asked: argparse.Namespace) -> None:
    editions = _editions(asked)
    exchange = SandboxExchange(asked.seed)
    with _workers(asked.workers) as executor:
        for edition in editions:
            _tell(write_archive(exchange, edition, asked.out, _shape(asked, edition), executor))


def _editions(asked: argparse.Namespace) -> list[Edition]:
    rest = {
        "markets": asking.names(asked.markets) if asked.markets is not None else None,
        "intervals": asking.intervals(asked.intervals),
        "defects": tuple(asking.defect(text) for text in asked.defect),
    }
    editions = [Edition.quarterly(quarter, **rest) for quarter in asking.names(asked.quarters)]
    if asked.complete is not None:
        editions.append(Edition.complete(asked.complete, **rest))
    if (asked.first is None) != (asked.last is None):
        raise HalfARange
    if asked.first is not None:
        editions.append(Edition.loose(asking.days(asked.first, asked.last), **rest))
    if not editions:
        raise Unasked
    return editions


def _shape(asked: argparse.Namespace, edition: Edition) -> Shape:
    return Shape(
        container=Container(asked.shape or ("loose" if edition.quarter is None else "zip")),
        naming=Naming(asked.naming),
        name=asked.name,
        nested=asked.nested,
        macosx=asked.macosx,
        manifest=asked.manifest,
        scientific=asked.scientific,
        zip64=asked.zip64,
        part_bytes=asked.part_size,
    )


@contextmanager
def _workers(number: int) -> Iterator[Executor | None]:
    """None where one process is enough. Not by fork: a fork after polars has run hangs."""
    if number == 1:
        yield None
        return
    with ProcessPoolExecutor(number, multiprocessing.get_context("forkserver")) as executor:
        yield executor


def _tell(archive: WrittenArchive) -> None:
    parts = f" in {len(archive.files)} parts" if len(archive.files) > 1 and not archive.path.is_dir() else ""
    print(f"{archive.path}{parts}: {archive.pairs} markets, {archive.members} files, {archive.rows:,} candles")


def _truth(asked: argparse.Namespace) -> None:
    within = asking.days(asked.first, asked.last)
    candles = SandboxExchange(asked.seed).candles(asked.market, Interval.parse(asked.interval), within)
    seconds = candles["timestamp"].dt.epoch("s")
    print(candles.with_columns(seconds.alias("timestamp")).write_csv(include_header=False), end="")


def _serve(asked: argparse.Namespace) -> None:
    exchange = SandboxExchange.small(asked.seed) if asked.cast == "small" else SandboxExchange(asked.seed)
    now = asking.moment(asked.now) if asked.now is not None else datetime.now(UTC)
    api = SandboxApi(
        exchange,
        frozen(now) if asked.frozen else ticking(now, time.monotonic),
        quirks=_quirks(asked),
        faults=asking.faults(asked.faults, asked.fault, asked.seed),
        rate=asking.amount(asked.rate),
        status=Status(asked.status),
    )
    port = asking.port(asked.port)
    with _held_back(signal.SIGINT, signal.SIGTERM) as endings, serve(api, port) as server:
        print(f"KRAKEN_API={server.url}", flush=True)
        signal.sigwait(endings)


def _quirks(asked: argparse.Namespace) -> Quirks:
    return Quirks(
        QuietRows(asked.quiet_rows),
        timedelta(seconds=asking.amount(asked.revises_after)),
        ids_since=asking.moment(asked.ids_since) if asked.ids_since is not None else None,
        edges=Edges(asked.edges),
    )


@contextmanager
def _held_back(*endings: signal.Signals) -> Iterator[set[signal.Signals]]:
    """From every thread that starts here: one of these could take a signal, and the main thread would sleep on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, endings)
    try:
        yield set(endings)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _markets(asked: argparse.Namespace) -> None:
    exchange = SandboxExchange(asked.seed)
    print(f"{'market':10} {'pair':11} {'first trade':20} {'last trade':20} {'minutes that trade':>18}")
    for market in exchange.cast:
        first, last = exchange.first_trade(market.altname), exchange.last_trade(market.altname)
        lives = (f"{moment:%Y-%m-%d %H:%M}" if moment else "" for moment in (first, last))
        print(f"{market.altname:10} {market.wsname:11} {next(lives):20} {next(lives):20} {market.share:>18.0%}")
    for outage in exchange.outages:
        print(f"nothing trades anywhere from {outage.start:%Y-%m-%d %H:%M} to {outage.end:%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    sys.exit(main())
