"""What can go wrong between a client and an exchange, and how often: switches for tests of whoever asks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Self

import numpy as np

from chandlery.errors import UsageError
from chandlery.sandbox.noise import key_of, uniform
from chandlery.sandbox.replies import HungUp, Reply, Stalled, error, page, parsed, result


class Fault(StrEnum):
    """Something that goes wrong with one request."""

    RATE_LIMIT = "rate-limit"  # EGeneral:Too many requests
    API_RATE_LIMIT = "api-rate-limit"  # EAPI:Rate limit exceeded
    SERVICE = "service"  # EService:Unavailable
    BUSY = "busy"  # EService:Busy
    INTERNAL = "internal"  # EGeneral:Internal error
    LOCKOUT = "lockout"  # EGeneral:Temporary lockout
    HTTP_403 = "http-403"
    HTTP_429 = "http-429"  # with Retry-After
    HTTP_500 = "http-500"
    HTTP_502 = "http-502"
    HTTP_503 = "http-503"
    HTML = "html"  # a page under HTTP 200
    STALL = "stall"  # not a byte
    DROP = "drop"  # the connection closes without an answer
    CUT = "cut"  # it closes in the middle of the body
    CUT_JSON = "cut-json"  # half of the JSON, sent whole
    OTHER_KEY = "other-key"  # candles under a name that nobody asked for; harms no other answer
    EMPTY = "empty"  # a result without anything in it, and no error


#: Errors that Kraken tells in the body. (design 2.7)
_IN_BODY = MappingProxyType(
    {
        Fault.RATE_LIMIT: "EGeneral:Too many requests",
        Fault.API_RATE_LIMIT: "EAPI:Rate limit exceeded",
        Fault.SERVICE: "EService:Unavailable",
        Fault.BUSY: "EService:Busy",
        Fault.INTERNAL: "EGeneral:Internal error",
        Fault.LOCKOUT: "EGeneral:Temporary lockout",
    }
)
_PAGES = MappingProxyType(
    {
        Fault.HTTP_403: "403 Forbidden",
        Fault.HTTP_429: "429 Too Many Requests",
        Fault.HTTP_500: "500 Internal Server Error",
        Fault.HTTP_502: "502 Bad Gateway",
        Fault.HTTP_503: "503 Service Unavailable",
        Fault.HTML: "200 OK",
    }
)
_STRANGE_KEY = "SOMETHINGELSE"


class ImpossibleShares(UsageError):
    """Faults cannot befall {share:g} of the requests: shares go from 0 to 1, and so does their sum."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Which requests go wrong, and how: a function of (seed, number of the request).

    Requests are counted from 0 as they arrive, from the moment these faults are switched on. First comes `script`: its
    n-th entry is what happens to the n-th request. Then each fault befalls its share of the requests, at random.
    Raises ImpossibleShares.
    """

    shares: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 1
    script: tuple[Fault | None, ...] = ()
    stall_seconds: float = 60.0
    retry_after: int = 1  # seconds, in the header of a 429

    def __post_init__(self) -> None:
        for share in (*self.shares.values(), sum(self.shares.values())):
            # Eighteen eighteenths are a little more than one.
            if not 0 <= share <= 1 + 1e-9:
                raise ImpossibleShares(share=share)

    @classmethod
    def every(cls, total: float, seed: int = 1) -> Self:
        """All of them, in equal parts of a `total` share of the requests."""
        return cls({fault: total / len(Fault) for fault in Fault}, seed)

    @classmethod
    def always(cls, fault: Fault) -> Self:
        return cls({fault: 1.0})

    @classmethod
    def first(cls, *script: Fault | None) -> Self:
        """These befall the first requests, one after the other, and nothing the later ones."""
        return cls(script=script)

    def plus(self, shares: Mapping[Fault, float]) -> Self:
        both = {fault: self.shares.get(fault, 0.0) + shares.get(fault, 0.0) for fault in Fault}
        return replace(self, shares={fault: share for fault, share in both.items() if share > 0})

    def at(self, number: int) -> Fault | None:
        """What befalls a request, counted from 0; None: nothing does."""
        if number < len(self.script):
            return self.script[number]
        if not self.shares:
            return None
        drawn = float(uniform(key_of(self.seed, "faults"), np.array([number - len(self.script)], dtype=np.int64))[0])
        for fault, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return fault
        return None


def spoiled(reply: Reply, fault: Fault, faults: Faults) -> Reply:
    """What is sent instead of `reply`. Raises HungUp and Stalled where nothing is."""
    match fault:
        case Fault.STALL:
            raise Stalled(faults.stall_seconds)
        case Fault.DROP:
            raise HungUp
        case Fault.CUT:
            harmed = replace(reply, sent=len(reply.body) // 2)
        case Fault.CUT_JSON:
            harmed = replace(reply, body=reply.body[: len(reply.body) // 2])
        case Fault.OTHER_KEY:
            return _under_another_key(reply)
        case Fault.EMPTY:
            harmed = result({})
        case _ if fault in _PAGES:
            retry = (("Retry-After", str(faults.retry_after)),) if fault is Fault.HTTP_429 else ()
            harmed = page(_PAGES[fault], fault, retry)
        case _:
            harmed = error(_IN_BODY[fault])
    return replace(harmed, outcome=fault)


def _under_another_key(reply: Reply) -> Reply:
    found = parsed(reply).get("result", {})
    if "last" not in found:
        return reply
    renamed = {key if key == "last" else _STRANGE_KEY: value for key, value in found.items()}
    body = json.dumps({"error": [], "result": renamed}, separators=(",", ":")).encode()
    return replace(reply, body=body, outcome=Fault.OTHER_KEY)
