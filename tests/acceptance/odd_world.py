"""An exchange that a test may let answer oddly, runs that ask it in this process, and what they asked."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIEnvironment

from chandlery.exchanges.kraken.api.settings import ApiSettings
from chandlery.exchanges.kraken.tiers import load_tiers
from chandlery.pipeline.events import Event
from chandlery.pipeline.job import run_job
from chandlery.pipeline.markets import ensure_markets
from chandlery.pipeline.request import IngestRequest, Selection, Surroundings
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.quirks import Quirks
from chandlery.sandbox.rest import SandboxApi
from chandlery.sandbox.server import serve
from tests.acceptance.in_process import InlineExecutor, Runs
from tests.sandbox.asked import Hands

TROUBLE = b'{"error": ["EGeneral:Internal error"]}'
#: (method, market, width of candles or cursor of trades)
Question = tuple[str, str, str]


def as_it_is(method: str, query: dict[str, str]) -> bytes | None:
    """Nothing odd."""
    return None


@dataclass
class OddWorld:
    """`hands` are the exchange's clock, `runs` have their own. `instead`: what is answered, by method and query; where
    that is None, what the exchange says.
    """

    exchange: SandboxExchange
    api: SandboxApi
    hands: Hands
    runs: Runs
    instead: Callable[[str, dict[str, str]], bytes | None] = as_it_is

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["PATH_INFO"].rpartition("/")[2]
        body = self.instead(method, dict(parse_qsl(environ["QUERY_STRING"])))
        if body is None:
            return self.api(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def told(self, selection: Selection, *sources: Path, budget: int | None = None) -> list[Event]:
        """Every event of one run."""
        return self._runs(selection, budget).told(*sources)

    def begun(
        self,
        selection: Selection,
        *sources: Path,
        budget: int | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """A run that goes on as its events are taken."""
        tiers = load_tiers(None)
        ensure_markets(tiers)
        request = IngestRequest(selection, sources, trade_budget=budget)
        return run_job(request, self.around, InlineExecutor(), tiers, should_stop)

    def verdicts(self, selection: Selection) -> dict[tuple[str, int], dict[str, object]]:
        """Figures of each series, as `report_completeness --json` prints them."""
        series = self._runs(selection, 0).report()["series"]
        return {(one["market"], one["interval_minutes"]): one for one in series}

    @property
    def around(self) -> Surroundings:
        runs = self.runs
        assert runs.api is not None
        return Surroundings(f"parquet:{runs.lake.name}", runs.home, lambda: self.runs.now, api=runs.api)

    @property
    def asked(self) -> Counter[Question]:
        """Every request for candles or trades that the exchange has answered itself; a cursor with its page's size,
        where that is not the usual one.
        """
        found: Counter[Question] = Counter()
        for one in self.api.requests:
            if "pair" in one.query and (what := one.query.get("interval", one.query.get("since"))) is not None:
                size = f" of {one.query['count']}" if "count" in one.query else ""
                found[one.path.rpartition("/")[2], one.query["pair"], f"{what}{size}"] += 1
        return found

    @property
    def pages(self) -> Counter[Question]:
        """Of these, pages of trades."""
        return Counter({one: number for one, number in self.asked.items() if one[0] == "Trades" and " " not in one[2]})

    @property
    def journals(self) -> list[str]:
        folder = self.runs.home / "data" / "walks"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def _runs(self, selection: Selection, budget: int | None) -> Runs:
        return replace(self.runs, selection=selection, trade_budget=budget)


@contextmanager
def odd_world(exchange: SandboxExchange, now: datetime, home: Path, quirks: Quirks | None = None) -> Iterator[OddWorld]:
    """Served at `now`, which is our time too."""
    hands = Hands(now)
    found = OddWorld(exchange, SandboxApi(exchange, hands, quirks=quirks), hands, Runs(home, Selection((), ()), now))
    with serve(found) as server:
        found.runs = replace(found.runs, api=ApiSettings(server.url, rate=0, attempts=2, retry_wait=0))
        yield found
