"""What the sandbox sends back, as a value, and the two signals by which it breaks a connection instead."""

import json
from dataclasses import dataclass
from typing import Any

JSON_TYPE = "application/json; charset=utf-8"
HTML_TYPE = "text/html; charset=UTF-8"
#: How a log calls an answer with nothing wrong in it.
OK = "ok"


class HungUp(Exception):
    """The connection closes here and now: after what was sent so far, or before anything was."""


class Stalled(Exception):
    """Not a byte is sent until the client goes away or so many `seconds` are over; then the connection closes."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `sent`: how many bytes of the body leave before the connection closes; None: all, and it stays.

    `outcome` is "ok", the error in the body, or the name of a fault.
    """

    body: bytes
    outcome: str = OK
    status: str = "200 OK"
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    sent: int | None = None


def result(content: object) -> Reply:
    return Reply(json.dumps({"error": [], "result": content}, separators=(",", ":")).encode())


def error(text: str) -> Reply:
    """An error as Kraken tells it: in the body, under HTTP 200. (design 2.7)"""
    return Reply(json.dumps({"error": [text]}, separators=(",", ":")).encode(), outcome=text)


def page(status: str, outcome: str, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """What stands before Kraken answers with HTML when something is wrong."""
    text = (
        f"<!DOCTYPE html>\n<html>\n<head><title>{status}</title></head>\n"
        f"<body>\n<center><h1>{status}</h1></center>\n<hr><center>sandbox</center>\n</body>\n</html>\n"
    )
    return Reply(text.encode(), outcome, status, HTML_TYPE, headers)


def ohlc_result(key: str, rows: tuple[str, ...], last: int) -> Reply:
    """Rows are JSON already."""
    text = f'{{"error":[],"result":{{{json.dumps(key)}:[{",".join(rows)}],"last":{last}}}}}'
    return Reply(text.encode())


def trades_result(key: str, rows: tuple[str, ...], last: int) -> Reply:
    """Rows are JSON already; `last` is a text, for as a number most readers would round it. (design 2.6)"""
    text = f'{{"error":[],"result":{{{json.dumps(key)}:[{",".join(rows)}],"last":"{last}"}}}}'
    return Reply(text.encode())


def parsed(reply: Reply) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(reply.body)
    return body
