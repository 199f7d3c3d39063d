"""A home with all that pages have to show: busy, thin and delisted markets, gaps, a finding, an outage, jobs."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from benchmarks.dashboard import wait_for
from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.names import asset_ticker
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.cast import CAST
from chandlery.sandbox.defects import MissingDay, MissingSlots
from chandlery.sandbox.editions import Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.conftest import CHECKOUT, clean_environment

#: When the home was filled, and when it is looked at: the API's window has moved on meanwhile.
FILLED = datetime(2025, 3, 5, 4, 2, tzinfo=UTC)
NOW = FILLED + timedelta(hours=6)
INTERVALS = (Interval.M60, Interval.M240, Interval.M1440)
LISTED = datetime(2023, 2, 7, 9, 30, tzinfo=UTC)
LOST_DAY = date(2023, 11, 5)
LOST_HOURS = TimeRange(datetime(2024, 5, 14, 3, tzinfo=UTC), datetime(2024, 5, 14, 9, tzinfo=UTC))
#: Two busy ones, one listed in mid-history, a thin one, a delisted one.
NAMES = ("XBTUSD", "ETHUSD", "SOLUSD", "ICXUSD", "MATICUSD")
USER, PASSWORD = "keeper", "a lantern in the fog"


def exchange() -> SandboxExchange:
    """With shorter lives than the whole cast's, so that it is written in no time."""
    cast = {market.altname: market for market in CAST}
    return SandboxExchange(cast=tuple(replace(cast[name], listed=max(cast[name].listed, LISTED)) for name in NAMES))


@dataclass(slots=True)
class World:
    """A home and the exchange that it asks. `now` is the time there, for commands and for pages."""

    home: Path
    now: datetime = FILLED
    api: str = "http://127.0.0.1:9"
    rate: str = "0"
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, expected: int = 0) -> str:
        """One of our commands, to its end."""
        with self.start(*command) as process:
            out, _ = process.communicate(timeout=300)
        assert process.returncode == expected, out
        return out

    def start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, str(CHECKOUT / "manage.py"), *command],
            cwd=self.home,
            env=self.said,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def said(self) -> dict[str, str]:
        """The environment of whatever runs there."""
        told = {"CLOCK": self.now.isoformat(), "KRAKEN_API": self.api, "KRAKEN_RATE": self.rate}
        return clean_environment(self.home) | told | {"TIERS_FILE": str(self.home / "tiers.toml")} | self.environment


def write_archives(folder: Path, *, broken: bool) -> None:
    """All up to the middle of 2024, with a lost day and lost hours; the last quarter, but not the one between; and one
    that is `broken`.
    """
    defects = (MissingDay(LOST_DAY, "XBTUSD", Interval.M1440), MissingSlots(LOST_HOURS, "ETHUSD", Interval.M60))
    folder.mkdir(parents=True)
    write_archive(exchange(), Edition.complete("2024Q2", intervals=INTERVALS, defects=defects), folder, Shape())
    write_archive(exchange(), Edition.quarterly("2024Q4", intervals=INTERVALS), folder, Shape(manifest=True))
    if broken:
        (folder / "Kraken_OHLCVT_2023Q1.zip").write_bytes(b"<html>Not found</html>")


@contextmanager
def world(home: Path, *, broken: bool = True) -> Iterator[World]:
    """A home filled by the main command, and looked at some hours later, while the exchange is there to be asked."""
    tickers = ", ".join(f'"{asset_ticker(market.base)}"' for market in exchange().cast)
    (home / "tiers.toml").write_text(f"[tiers]\nTIER1 = [{tickers}]\nTIER2 = []\nTIER3 = []\n")
    write_archives(home / "data" / "archives", broken=broken)
    made = World(home)
    with serve(SandboxApi(exchange(), lambda: made.now)) as server:
        made.api = server.url
        asked = ("--tier", "TIER1", "--intervals", "60,240,1440", "--trade-budget", "0", "--yes")
        # An archive that is none is told: status 1.
        made.run("ingest_kraken_unified", *asked, expected=1 if broken else 0)
        made.run("audit_candles", "--tier", "TIER1", "--intervals", "60,240,1440")
        made.now = NOW
        keeper = {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        made.environment |= keeper
        made.run("createsuperuser", "--noinput", "--username", USER, "--email", "keeper@localhost")
        yield made


@contextmanager
def served(made: World, *, port: int) -> Iterator[str]:
    """The production server over it; its address."""
    address = f"http://127.0.0.1:{port}"
    with made.start("serve", "--port", str(port)) as process:
        try:
            wait_for(f"{address}/healthz", process)
            yield address
        finally:
            process.terminate()
            process.communicate(timeout=60)


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True)
    with world(place) as shown:
        sys.stdout.write(shown.run("report_completeness", "--tier", "TIER1", "--intervals", "60,240,1440"))
        sys.stdout.write(f"{os.fspath(place)}\n")
