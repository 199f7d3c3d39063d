"""How far work has come, as a value, and how that is written: share, rate, time left."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Pace:
    """`done` of `total` units of work (bytes, series) after `seconds`; `rows` is what came of it."""

    done: int
    total: int
    rows: int
    seconds: float

    @property
    def share(self) -> float:
        """From 0 to 1; no work at all is done."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    @property
    def rate(self) -> float:
        """Rows a second; 0 as long as no time has passed."""
        return self.rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left at the pace so far; None while there is no pace."""
        if self.share >= 1:
            return 0.0
        return self.seconds * (1 - self.share) / self.share if self.done and self.seconds > 0 else None


def compact(number: float) -> str:
    """Three digits and a letter: 950, 12.3k, 1.35M."""
    for limit, divisor, letter in ((1e3, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if number < limit:
            return _three_digits(number / divisor) + letter if letter else f"{number:.0f}"
    return _three_digits(number / 1e9) + "G"


def _three_digits(number: float) -> str:
    return f"{number:.{2 if number < 10 else 1 if number < 100 else 0}f}"


def size_text(size: int) -> str:
    """Bytes as a person reads them: 812 bytes, 3.1 MB."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    for divisor, unit in ((1e3, "kB"), (1e6, "MB"), (1e9, "GB")):
        if size < divisor * 1000 or unit == "GB":
            return f"{size / divisor:,.1f} {unit}"
    raise AssertionError(size)


def duration(seconds: float | None) -> str:
    """Minutes and seconds, with hours where there are any: 0:42, 1:02:03; "-:--" where not known."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def span_text(seconds: float) -> str:
    """A time that has passed or will, to two units: 5 s, 1 min 30 s, 3 h 32 min, 2 d 4 h."""
    rest, parts = round(seconds), []
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, rest = divmod(rest, size)
        parts.append((number, unit))
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [f"{number:,} {unit}" for number, unit in parts[first : first + 2] if number]
    return " ".join(shown) or "0 s"


def about(seconds: float) -> str:
    """An estimate, rounded up: about 20 seconds, about 3 minutes, about 2 hours 10 minutes."""
    if seconds <= 10:
        return "a few seconds"
    if seconds <= 50:
        return f"about {ceil(seconds / 10) * 10} seconds"
    hours, minutes = divmod(ceil(seconds / 60), 60)
    if hours:
        minutes = minutes // 10 * 10
    parts = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in ((hours, "hour"), (minutes, "minute")) if n]
    return f"about {' '.join(parts)}"
