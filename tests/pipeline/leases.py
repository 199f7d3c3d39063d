"""Leases for tests: a world of two machines, a clock and three markets."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chandlery.models import IngestionJob, LeasedSeries, Market
from chandlery.pipeline.lease import Held
from chandlery.pipeline.process_identity import ProcessIdentity
from tests.candles.builders import at
from tests.factories import MarketFactory

START = at("2026-11-23 22:30")
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Clock:
    """`clock.now` is what it says."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass(slots=True)
class Machine:
    """A host whose processes live until they are killed."""

    host: str = "feeder-1"
    dead: set[ProcessIdentity] = field(default_factory=set)

    def is_alive(self, process: ProcessIdentity) -> bool:
        return process not in self.dead

    def process(self, pid: int = 4711) -> ProcessIdentity:
        return ProcessIdentity(self.host, pid, 1_795_000_000.0)


@dataclass(slots=True)
class World:
    """Two machines, a clock, three markets."""

    clock: Clock = field(default_factory=Clock)
    here: Machine = field(default_factory=Machine)
    there: Machine = field(default_factory=lambda: Machine("feeder-2"))
    markets: list[Market] = field(default_factory=lambda: [market(name) for name in ("ETH", "SOL", "XBT")])

    def held(
        self,
        *series: tuple[int, int],
        job: IngestionJob | None = None,
        pid: int = 4711,
        on: Machine | None = None,
        purpose: str = "job 1a2b3c4d",
    ) -> Held:
        """`series`: which market by its place in `markets`, and minutes."""
        machine = on or self.here
        return Held.acquire(purpose, job, self.series(*series), self.clock, machine.process(pid), machine)

    def series(self, *places: tuple[int, int]) -> list[tuple[Market, int]]:
        return [(self.markets[place], minutes) for place, minutes in places]


def market(base: str) -> Market:
    return MarketFactory.create(base__ticker=base, altname=f"{base}USD")


def leased() -> set[tuple[str, int]]:
    return set(LeasedSeries.objects.values_list("market__altname", "interval_minutes"))
