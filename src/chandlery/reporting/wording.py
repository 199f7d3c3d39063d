"""How figures, dates and names are written for a person: pure text, no colours."""

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta

from chandlery.candles.interval import Interval
from chandlery.candles.timerange import TimeRange

#: The box of a report is this wide, unless its text needs more.
BOX_WIDTH = 60
#: Where no width is known: what every terminal and every log can show.
PLAIN_WIDTH = 80
_INSTANT = timedelta(microseconds=1)


def plain(text: str) -> str:
    """`text` without anything a terminal would obey: control, format and half characters are written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _visible(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def _visible(character: str) -> bool:
    return unicodedata.category(character)[0] != "C" and unicodedata.category(character) not in ("Zl", "Zp")


def sentence(text: str) -> str:
    """With a capital letter, whatever the rest is."""
    return text[:1].upper() + text[1:]


def plural(number: int, noun: str, nouns: str = "") -> str:
    """1 gap, 1,200 gaps."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def width_of(interval: Interval) -> str:
    return f"{int(interval)}min"


def widths(intervals: Iterable[Interval]) -> str:
    return ", ".join(width_of(interval) for interval in intervals)


def floored(part: float, whole: float) -> str:
    """The share as a percentage, rounded down: only the whole is 100 %."""
    # What floats lose in the last digits must not cost a tenth: 0.923 * 1000 is 922.99….
    return _tenths(part, whole, int(1000 * part / whole + 1e-6) if whole else 0)


def rounded(part: float, whole: float) -> str:
    """The share as a percentage, rounded; yet only the whole is 100 %, and only nothing is 0 %."""
    return _tenths(part, whole, int(1000 * part / whole + 0.5) if whole else 0)


def _tenths(part: float, whole: float, tenths: int) -> str:
    if not part or not whole:
        return "0%"
    if part >= whole:
        return "100%"
    tenths = min(tenths, 999)
    return f"{tenths / 10:.1f}%" if tenths else "<0.1%"


def days(within: TimeRange) -> str:
    """Its days, both ends included: "2020-01-01 to 2024-12-31"; one day stands alone."""
    first, last = f"{within.start:%Y-%m-%d}", f"{within.end - _INSTANT:%Y-%m-%d}"
    return first if first == last else f"{first} to {last}"


def span(within: TimeRange) -> str:
    """Whole days as days, both included; anything else to the minute, the end not included."""
    if _midnight(within.start) and _midnight(within.end):
        return days(within)
    same_day = within.start.date() == within.end.date()
    return f"{within.start:%Y-%m-%d %H:%M} to {within.end:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}} UTC"


def moment(when: datetime) -> str:
    """A day, or a minute where it is not midnight."""
    return f"{when:%Y-%m-%d}" if _midnight(when) else f"{when:%Y-%m-%d %H:%M}"


def _midnight(when: datetime) -> bool:
    return when.timetz() == time(tzinfo=UTC)


def listed(names: Sequence[str], limit: int) -> str:
    """The first `limit` names, and how many more there are."""
    shown = ", ".join(plain(name) for name in names[:limit])
    return f"{shown} and {len(names) - limit:,} more" if len(names) > limit else shown


def wrapped(text: str, width: int, hanging: str = "  ") -> list[str]:
    """`text` in lines of at most `width`, the first as it is indented, the others under `hanging`. Words stay whole."""
    if len(text) <= width:
        return [text]
    body = text.lstrip(" ")
    indent = text[: len(text) - len(body)]
    return textwrap.wrap(
        body,
        width,
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def box(lines: Sequence[str], width: int) -> list[str]:
    """A box around `lines`: 60 wide as a rule, wider where they need it, never wider than `width`."""
    inner = min(max(BOX_WIDTH, *(len(line) + 5 for line in lines)), width) - 2
    fitted = [part for line in lines for part in wrapped(line, inner - 3)]
    # A word that no box holds is cut: a broken frame is worse.
    rows = [part if len(part) <= inner - 3 else part[: inner - 4] + "…" for part in fitted]
    return [f"╔{'═' * inner}╗", *(f"║  {row:<{inner - 2}}║" for row in rows), f"╚{'═' * inner}╝"]
