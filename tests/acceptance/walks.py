"""Walks over trades in this process, and what they were said to take beforehand."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.pipeline.events import WalkStarted
from chandlery.pipeline.request import Selection
from chandlery.sandbox.archives import write_archive
from chandlery.sandbox.editions import Container, Edition, Shape
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import SandboxServer, serve
from tests.acceptance.in_process import Runs

#: As Kraken says it, with HTTP 200. (design 2.7)
_TROUBLE = b'{"error": ["EGeneral:Internal error"]}'


class Walk(NamedTuple):
    """`told`: the requests that a walk was said to take (None: nobody knew); `taken`: those for trades that came."""

    market: str
    told: int | None
    taken: int

    @property
    def is_as_told(self) -> bool:
        """Within a factor of two."""
        return self.told is not None and self.told <= 2 * self.taken and self.taken <= 2 * self.told


@dataclass(frozen=True, slots=True)
class Walking:
    """An exchange that is asked for trades in this process."""

    api: SandboxApi
    server: SandboxServer
    now: datetime

    def over(self, gap: TimeRange, home: Path, *, stored: timedelta | None = None) -> list[Walk]:
        """What the walks over `gap` were said to take, and took, in a lake that holds so much of what came before."""
        sources = []
        first = gap.start
        if stored is not None:
            first -= stored
            edition = Edition.loose(TimeRange(first, gap.start), intervals=(Interval.M1,))
            sources = [write_archive(self.api.exchange, edition, home / "archives", Shape(Container.LOOSE)).path]
        selection = Selection((Interval.M1,), markets=self.api.exchange.names, start=first, end=gap.end)
        settings = ApiSettings(self.server.url, rate=0, retry_wait=0, attempts=2)
        self.api.forget_requests()
        told = Runs(home, selection, self.now, settings, trade_budget=None).told(*sources)
        [started] = [event for event in told if isinstance(event, WalkStarted)]
        taken = self._pages()
        assert set(taken) == {walk.market for walk in started.walks} == set(self.api.exchange.names)
        return [Walk(walk.market, walk.requests, taken[walk.market]) for walk in started.walks]

    def _pages(self) -> Counter[str]:
        """Requests for trades by market, but for that of one alone, which dates it."""
        asked = [request.query for request in self.api.requests if request.path.endswith("/Trades")]
        return Counter(query["pair"] for query in asked if query.get("count") != "1")


@contextmanager
def walking(exchange: SandboxExchange, now: datetime, *, ledger: bool = True) -> Iterator[Walking]:
    """`ledger`: whether the exchange tells its weekly figures; else it answers with an error."""
    api = SandboxApi(exchange, lambda: now)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if ledger or "interval=10080" not in environ["QUERY_STRING"]:
            return api(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(_TROUBLE)))])
        return [_TROUBLE]

    with serve(app) as server:
        yield Walking(api, server, now)
