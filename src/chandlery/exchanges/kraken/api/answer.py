"""From what came over the wire to the result in it, or to the reason why there is none."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

from chandlery.exchanges.kraken.api.errors import Refused, UnknownPair
from chandlery.exchanges.kraken.api.retrying import Failure

#: In-body errors that pass (design 2.7, Kraken REST reference, Errors). They come with HTTP 200.
CROWDED = ("EGeneral:Too many requests", "EAPI:Rate limit exceeded", "EGeneral:Temporary lockout")
PASSING = (*CROWDED, "EService:", "EGeneral:Internal error")
#: Of what a server says, so much is passed on.
MOST_ERRORS, LONGEST_TEXT = 5, 200
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
#: HTTP states that pass, beside all of 5xx: a firewall's, a slow connection's and a rate limit's.
PASSING_STATES = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, its body whole and unpacked. Names in `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def result_of(reply: Reply, what: str) -> object:
    """The "result" of an answer of Kraken's REST API.

    Raises Failure for what may pass, Refused (UnknownPair) for what may not. `what` was asked for, for messages.
    """
    if reply.status in PASSING_STATES or reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Failure(
            _described(reply),
            crowded=reply.status == HTTPStatus.TOO_MANY_REQUESTS,
            retry_after=_retry_after(reply.headers),
        )
    if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _refusal(what, _errors(_envelope(reply)), _described(reply))
    envelope = _envelope(reply)
    if envelope is None:
        raise Failure(f"{_kind(reply.body)} instead of JSON")
    errors = _errors(envelope)
    if errors:
        if all(error.startswith(PASSING) for error in errors):
            raise Failure(", ".join(errors), crowded=any(error.startswith(CROWDED) for error in errors))
        raise _refusal(what, errors, ", ".join(errors))
    if reply.status != HTTPStatus.OK or "result" not in envelope:
        raise Failure(f"an answer without a result ({_described(reply)})")
    return envelope["result"]


def _envelope(reply: Reply) -> dict[str, Any] | None:
    """The JSON object in the body; None where there is none."""
    try:
        found = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _errors(envelope: dict[str, Any] | None) -> list[str]:
    """The errors in it. What begins with W is a warning, beside which there is a result (Kraken REST reference)."""
    stated = envelope.get("error") if envelope is not None else None
    listed = stated if isinstance(stated, list) else [stated] if stated else []
    return [_bounded(text) for text in map(str, listed[:MOST_ERRORS]) if not text.startswith("W")]


def _refusal(what: str, errors: list[str], reason: str) -> Refused:
    kind = UnknownPair if any(error.startswith(UNKNOWN_PAIR) for error in errors) else Refused
    return kind(what=what, reason=reason)


def _described(reply: Reply) -> str:
    """HTTP 503 Service Unavailable, with the first error in the body, or where a redirect leads."""
    try:
        phrase = f" {HTTPStatus(reply.status).phrase}"
    except ValueError:
        phrase = ""
    target = _bounded(reply.headers.get("location", ""))
    redirect = f" to {target}, which is not followed" if target and reply.status < HTTPStatus.BAD_REQUEST else ""
    errors = _errors(_envelope(reply))
    return f"HTTP {reply.status}{phrase}{redirect}" + (f", {errors[0]}" if errors else "")


def _bounded(text: str) -> str:
    """What a server says, as short as a line and safe to write anywhere."""
    printable = "".join(c if c.isprintable() else "?" for c in text[:LONGEST_TEXT])
    return printable + ("…" if len(text) > LONGEST_TEXT else "")


def _kind(body: bytes) -> str:
    start = body[:100].lstrip()
    if not start:
        return "an empty body"
    return "an HTML page" if start.startswith(b"<") else "a body that is cut off or garbled"


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks us to wait; 0 where it says nothing that can be understood.

    A date is measured against the server's own (RFC 9110, 10.2.3), so that it needs no clock of ours.
    """
    stated = headers.get("retry-after", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(stated[:9])
    try:
        wait = parsedate_to_datetime(stated) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):
        return 0.0
    return max(0.0, wait.total_seconds())
