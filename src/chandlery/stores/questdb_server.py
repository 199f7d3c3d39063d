"""Asking a QuestDB server over HTTP: small answers as JSON, candles as Parquet. One connection a process and server."""

import functools
import io
import os
import re
import ssl
import time
import weakref
from typing import Any

import httpx2
import polars as pl

from chandlery.stores.base import StoreUnavailable
from chandlery.stores.questdb_address import Address

OLDEST = (9, 2)
#: The server answers small questions at once; what takes long is a scan of a large table.
CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 600.0
#: How long we wait for one of its few connections for exports.
PATIENCE_SECONDS = 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.005, 0.25
_VERSION = re.compile(r"QuestDB\D*(\d+)\.(\d+)(\.\d+)?")
_NO_TABLE = "table does not exist"


class Unreachable(StoreUnavailable):
    """QuestDB at {server} cannot be reached: {reason}; start it, or correct CANDLE_STORE"""


class WrongCredentials(StoreUnavailable):
    """QuestDB at {server} does not accept this user and password; correct them in CANDLE_STORE"""


class TooOld(StoreUnavailable):
    """QuestDB at {server} is version {found}; needed is {oldest} or newer"""


class NotQuestDB(StoreUnavailable):
    """What answers at {server} is no QuestDB: {reason}"""


class Refused(StoreUnavailable):
    """QuestDB at {server} refused a statement: {reason}"""


class Busy(StoreUnavailable):
    """QuestDB at {server} has no connection left for us; raise its http.export.connection.limit"""


class NoCertificates(StoreUnavailable):
    """The certificates {path}, named in CANDLE_STORE, cannot be read: {reason}"""


class NoSuchTable(Refused):
    """QuestDB at {server} has no such table: {reason}"""


class Server:
    """One server, as one process speaks with it. Its version is asked for before anything else."""

    def __init__(self, address: Address) -> None:
        self.name = address.host_and_port
        self._client = httpx2.Client(
            base_url=address.base_url,
            auth=(address.user, address.password) if address.user else None,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            verify=_trusted(address),
            # A proxy that is meant for the internet has no business between us and a database.
            trust_env=False,
        )
        weakref.finalize(self, self._client.close)
        self._known = False

    def rows(self, statement: str) -> list[list[Any]]:
        """What a statement answers, row by row. Raises StoreUnavailable; NoSuchTable where it names one."""
        self._ensure_known()
        return self._rows(statement)

    def run(self, statement: str) -> None:
        """A statement that answers nothing."""
        self.rows(statement)

    def frame(self, query: str) -> pl.DataFrame:
        """What a query answers, as columns. Raises StoreUnavailable; NoSuchTable where it names one."""
        self._ensure_known()
        content = self._exported(query)
        try:
            return pl.read_parquet(io.BytesIO(content))
        except pl.exceptions.PolarsError as error:
            raise Unreachable(server=self.name, reason="its answer was cut off") from error

    def _exported(self, query: str) -> bytes:
        """A server exports over few connections at a time, by default as many as it has processors, and counts those
        that are kept open: each is closed at once, and where all are taken we wait for our turn.
        """
        pause, since = FIRST_PAUSE, time.monotonic()
        while True:
            try:
                return self._get("/exp", {"Connection": "close"}, query=query, fmt="parquet").content
            except Busy:
                if time.monotonic() - since > PATIENCE_SECONDS:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _ensure_known(self) -> None:
        if self._known:
            return
        told = str(self._rows("SELECT build()")[0][0])
        version = _VERSION.search(told)
        if version is None:
            raise NotQuestDB(server=self.name, reason=told[:100])
        if (int(version[1]), int(version[2])) < OLDEST:
            found = f"{version[1]}.{version[2]}{version[3] or ''}"
            raise TooOld(server=self.name, found=found, oldest=".".join(map(str, OLDEST)))
        self._known = True

    def _rows(self, statement: str) -> list[list[Any]]:
        answer = self._get("/exec", query=statement)
        try:
            told = answer.json()
            # What fails half-way through an answer is told at its end, with a status of 200.
            if "error" not in told:
                return list(told.get("dataset") or [])
        except (ValueError, TypeError, AttributeError) as error:
            raise NotQuestDB(server=self.name, reason="it answers with something else than JSON") from error
        raise self._refusal(str(told["error"]))

    def _get(self, path: str, headers: dict[str, str] | None = None, /, **parameters: str) -> httpx2.Response:
        try:
            answer = self._client.get(path, params=parameters, headers=headers)
        except httpx2.TransportError as error:
            raise Unreachable(server=self.name, reason=str(error) or type(error).__name__) from error
        if answer.status_code in (401, 403):
            raise WrongCredentials(server=self.name)
        if answer.status_code == 429:
            raise Busy(server=self.name)
        if answer.status_code == 404:
            raise NotQuestDB(server=self.name, reason=f"it knows no {path}")
        if answer.is_error:
            raise self._refusal(_reason(answer))
        return answer

    def _refusal(self, reason: str) -> Refused:
        kind = NoSuchTable if reason.startswith(_NO_TABLE) else Refused
        return kind(server=self.name, reason=reason)


def connected(address: Address) -> Server:
    """This process's connection to the server. One that was inherited from another process is not used."""
    return _connected(address, os.getpid())


@functools.lru_cache(maxsize=8)
def _connected(address: Address, process: int) -> Server:
    return Server(address)


def _trusted(address: Address) -> ssl.SSLContext | bool:
    if address.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=address.ca)
    except OSError as error:
        raise NoCertificates(path=address.ca, reason=str(error)) from error


def _reason(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}: {answer.text[:200].strip()}"
