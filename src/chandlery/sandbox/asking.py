"""What is asked for on the command line, as values: days, moments, defects, faults. Wrong text is a UsageError."""

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange
from chandlery.errors import UsageError
from chandlery.sandbox.defects import CorruptCell, CorruptRow, CutLastRow, Defect, MissingDay, MissingLastSlot, Revised
from chandlery.sandbox.faults import Fault, Faults

#: The words by which defects are asked for.
DEFECTS: dict[str, type[Defect]] = {
    "missing-day": MissingDay,
    "missing-last-slot": MissingLastSlot,
    "cut-last-row": CutLastRow,
    "corrupt-cell": CorruptCell,
    "corrupt-row": CorruptRow,
    "revised": Revised,
}


class NotADay(UsageError):
    """{text!r} is no day; write it as 2024-03-31 (1970 to 2099)."""


class BackwardDays(UsageError):
    """The last day, {last}, is before the first, {first}."""


class NotANumber(UsageError):
    """{text!r} is no whole number."""


class NotAMoment(UsageError):
    """{text!r} is no time; write it as 2024-09-01T00:00:30Z (UTC, 1970 to 2099)."""


class NotAnAmount(UsageError):
    """{text!r} is no number from 0 to a million."""


class NotAPort(UsageError):
    """{text!r} is no port; these are 1 to 65535, and 0 for any that is free."""


class UnknownFault(UsageError):
    """There is no fault {name!r}; choose from {known}, as in html=0.05."""


class UnknownDefect(UsageError):
    """There is no defect {name!r}; choose from {known}."""


class UnknownFact(UsageError):
    """A {name} has no {key!r}; it takes {known}."""


class MissingFact(UsageError):
    """A {name} needs {key}, as in {name}:{key}=…"""


def day(text: str) -> date:
    try:
        found = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise NotADay(text=text) from None
    if not 1970 <= found.year < 2100:
        raise NotADay(text=text)
    return found


def days(first: str, last: str) -> TimeRange:
    """Inclusive days, UTC."""
    start, end = day(first), day(last)
    if end < start:
        raise BackwardDays(first=first, last=last)
    return TimeRange(_midnight(start), _midnight(end + timedelta(days=1)))


def moment(text: str) -> datetime:
    """2024-09-01T00:00:30Z"""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise NotAMoment(text=text) from None
    if found.utcoffset() not in (None, timedelta(0)) or not 1970 <= found.year < 2100:
        raise NotAMoment(text=text)
    return found.replace(tzinfo=UTC)


def amount(text: str) -> float:
    """A number of seconds, of requests, a share."""
    try:
        found = float(text)
    except ValueError:
        raise NotAnAmount(text=text) from None
    if not 0 <= found <= 1_000_000:
        raise NotAnAmount(text=text)
    return found


def port(text: str) -> int:
    found = _number(text)
    if not 0 <= found <= 65_535:
        raise NotAPort(text=text)
    return found


def faults(total: str, single: Iterable[str], seed: int) -> Faults:
    """Every fault at a `total` share of the requests together, and on top of that single ones: html=0.05"""
    found = Faults.every(amount(total), seed)
    for text in single:
        name, _, share = text.partition("=")
        if name not in set(Fault):
            raise UnknownFault(name=name, known=", ".join(Fault))
        found = found.plus({Fault(name): amount(share)})
    return found


def names(text: str) -> tuple[str, ...]:
    """XBTUSD,ETHUSD"""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def intervals(text: str) -> tuple[Interval, ...]:
    """1,60,1440"""
    return tuple(Interval.parse(part) for part in names(text))


def defect(text: str) -> Defect:
    """missing-day:day=2024-03-31,market=XBTUSD,interval=1440"""
    name, _, rest = text.partition(":")
    if name not in DEFECTS:
        raise UnknownDefect(name=name, known=", ".join(DEFECTS))
    kind = DEFECTS[name]
    known = _facts_of(kind)
    given: dict[str, Any] = {}
    for fact in filter(None, rest.split(",")):
        key, _, value = fact.partition("=")
        if key not in known:
            raise UnknownFact(name=name, key=key, known=", ".join(known))
        given[key] = _READ[key](value)
    for field in fields(kind):
        if field.default is MISSING and field.name not in given:
            raise MissingFact(name=name, key=field.name)
    return kind(**given)


def _facts_of(kind: type[Defect]) -> list[str]:
    # A revision is of trades, so there is no interval to choose.
    return [field.name for field in fields(kind) if not (kind is Revised and field.name == "interval")]


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise NotANumber(text=text) from None


def _within(text: str) -> TimeRange:
    """2024-02-01..2024-02-03, inclusive days; or one day."""
    first, _, last = text.partition("..")
    return days(first, last or first)


def _midnight(of: date) -> datetime:
    return datetime(of.year, of.month, of.day, tzinfo=UTC)


_READ: dict[str, Callable[[str], Any]] = {
    "day": day,
    "within": _within,
    "market": str,
    "interval": Interval.parse,
    "row": _number,
    "column": str,
    "text": str,
}
