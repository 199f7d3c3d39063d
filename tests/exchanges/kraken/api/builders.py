"""Answers as Kraken writes them, and a server on loopback that gives exactly the bytes it is told to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.api.client import KrakenApi
from chandlery.exchanges.kraken.api.settings import ApiSettings
from tests.candles.builders import at

Row = list[object]
T = TypeVar("T")

ONLINE = {"status": "online", "timestamp": "2025-11-11T00:17:10Z"}


def row(moment: datetime | int, *, count: int = 3, price: float = 100.0, volume: str | None = None) -> Row:
    """One row of an OHLC answer; without trades it is flat and has no volume."""
    opened = moment if isinstance(moment, int) else int(moment.timestamp())
    spread = 2 if count else 0
    prices = [f"{price + change:.1f}" for change in (0, spread, -spread, 0)]
    return [opened, *prices, "100.0" if count else "0.0", volume or ("1.50000000" if count else "0.00000000"), count]


def rows_from(start: str, count: int, interval: Interval = Interval.M60) -> list[Row]:
    return [row(at(start) + i * interval.delta) for i in range(count)]


def ohlc_result(rows: list[Row], last: object = None) -> dict[str, object]:
    return {"XXBTZUSD": rows, "last": last}


@dataclass(frozen=True, slots=True)
class Wire:
    """What goes over the wire for one request, and what becomes of the connection: keep, close or stall."""

    sent: bytes
    then: str = "keep"


def http(
    body: bytes | str, status: str = "200 OK", *, then: str = "keep", length: int | None = None, **headers: str
) -> Wire:
    """An HTTP answer; `length` is what Content-Length says where it does not tell the truth."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Wire("\r\n".join([*lines, "", ""]).encode() + content, then)


def result(value: object) -> Wire:
    return http(json.dumps({"error": [], "result": value}))


def error(*errors: str, status: str = "200 OK") -> Wire:
    return http(json.dumps({"error": list(errors)}), status)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the server saw it, and when it came (seconds, monotonic)."""

    target: str
    headers: dict[str, str]
    arrived: float


@dataclass(slots=True)
class Serving:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    first: asyncio.Event = field(default_factory=asyncio.Event)  # set when something has been asked


@asynccontextmanager
async def serving(*wires: Wire) -> AsyncIterator[Serving]:
    """A server on loopback that answers request by request with `wires`; the last of them again and again."""
    state = Serving()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                state.asked.append(_asked(head.decode()))
                state.first.set()
                wire = wires[min(len(state.asked), len(wires)) - 1]
                writer.write(wire.sent)
                await writer.drain()
                if wire.then == "stall":
                    await reader.read()
                if wire.then != "keep":
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            talks.add(task)
        await talk(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    state.url = "http://{}:{}".format(*server.sockets[0].getsockname()[:2])
    try:
        yield state
    finally:
        server.close()
        await server.wait_closed()
        if talks:
            await asyncio.wait(talks, timeout=10)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a question came to: a value or an error; and what it took."""

    value: object
    problem: Exception | None
    requests: int
    asked: list[Asked]
    connections: int


def asking(
    question: Callable[[KrakenApi], Awaitable[object]],
    *wires: Wire,
    attempts: int = 3,
    timeout: float = 5.0,
    path: str = "",
) -> Outcome:
    """Put a question to a server that answers with `wires`; without waits between attempts, and without a rate."""

    async def run() -> Outcome:
        async with serving(*wires) as server:
            settings = ApiSettings(server.url + path, rate=0, retry_wait=0, attempts=attempts, timeout=timeout)
            value, problem = None, None
            async with KrakenApi(settings) as api:
                try:
                    value = await question(api)
                except Exception as raised:  # noqa: BLE001 - handed to the test, which looks at it
                    problem = raised
            return Outcome(value, problem, api.requests, server.asked, server.connections)

    return asyncio.run(run())


def _asked(head: str) -> Asked:
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Asked(first.split(" ")[1], {name.lower(): value for name, value in headers.items()}, time.monotonic())
