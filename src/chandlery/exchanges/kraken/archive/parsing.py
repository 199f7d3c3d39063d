"""Blocks of CSV rows as candle frames, fast; and for a block that is not sound, slowly, which row is why. Pure."""

import re

import polars as pl

from chandlery.candles.frame import PRICES, TIMESTAMP, first_bad_row
from chandlery.candles.interval import Interval
from chandlery.exchanges.kraken.archive.errors import MalformedRow

#: No row of an archive is longer than some hundred bytes.
ROW_LIMIT = 1024
#: 2100-01-01 in unix seconds: beyond it, a timestamp is in milliseconds or worse.
_LATEST = 4_102_444_800
_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "timestamp": pl.Int64,
    **dict.fromkeys((*PRICES, "volume"), pl.Float64),
    "trades": pl.Int64,
}
_COLUMNS = tuple(_SCHEMA)
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_COUNT = re.compile(r"\s*[+-]?0*[0-9]{1,18}\s*")
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_SECONDS = "unix seconds"
#: How each column is written, in the order in which a reader looks.
_FORMS = {
    "timestamp": (_WHOLE, _SECONDS),
    **dict.fromkeys(PRICES, (_NUMBER, "a finite price above zero")),
    "volume": (_NUMBER, "a finite volume of at least zero"),
    "trades": (_COUNT, "a whole number of trades of at least zero"),
}


def parse(block: bytes, interval: Interval, after: int | None) -> pl.DataFrame | None:
    """The candles of whole lines, or None where any row is not sound. `after` is the unix time of the row before."""
    raw = _columns(block)
    if raw is None or any(column.null_count() for column in raw.get_columns()):
        return None
    if not _in_range(raw["timestamp"]) or (after is not None and raw["timestamp"][0] <= after):
        return None
    candles = _with_times(raw)
    return candles if first_bad_row(candles, interval) is None else None


def fault_in_block(block: bytes, interval: Interval, after: int | None, path: str, rows_before: int) -> MalformedRow:
    """The first row for which `parse` refuses `block`."""
    ends = [match.end() for match in re.finditer(b"\n", block)]
    # A block is sound as long as each row is, so the first bad row is the shortest prefix that is not.
    sound, broken = 0, len(ends)
    while broken - sound > 1:
        middle = (sound + broken) // 2
        if parse(block[: ends[middle - 1]], interval, after) is None:
            broken = middle
        else:
            sound = middle
    prefix = block[: ends[broken - 1]]
    row = prefix[ends[sound - 1] if sound else 0 :]
    line = rows_before + broken
    fault = _shape_fault(row, first=line == 1) or _value_fault(row, prefix, interval, after)
    column, value, expected = fault or ("the row", _text(row), "a row that can be read")
    return MalformedRow(path=path, line=line, column=column, value=value[:80], expected=expected)


def fault_in_open_row(block: bytes, path: str, rows_before: int) -> MalformedRow:
    """What is wrong with a last row that no newline ends."""
    line = rows_before + 1
    expected = "a newline at its end; the file is cut off"
    if line == 1 and _is_html(block):
        expected = "a CSV row; this is an HTML page"
    elif len(block) > ROW_LIMIT:
        expected = f"at most {ROW_LIMIT} bytes in a row"
    return MalformedRow(path=path, line=line, column="the row", value=_text(block), expected=expected)


def open_of_row(row: bytes) -> int | None:
    """The unix time of a row; None for what is no row with a time."""
    stamp, *others = _text(row, ROW_LIMIT).split(",")
    if len(others) != len(_COLUMNS) - 1 or _WHOLE.fullmatch(stamp) is None:
        return None
    return int(stamp) if 0 <= int(stamp) < _LATEST else None


def _columns(block: bytes) -> pl.DataFrame | None:
    try:
        return pl.read_csv(
            block,
            has_header=False,
            schema=_SCHEMA,
            # A quote is no part of any number: treat it as a letter, so that it cannot swallow a newline.
            quote_char=None,
            missing_columns="raise",
            extra_columns="raise",
            glob=False,
        )
    except pl.exceptions.PolarsError:
        return None


def _in_range(seconds: pl.Series) -> bool:
    lowest, highest = seconds.min(), seconds.max()
    return isinstance(lowest, int) and isinstance(highest, int) and lowest >= 0 and highest < _LATEST


def _shape_fault(row: bytes, *, first: bool) -> tuple[str, str, str] | None:
    """(column, value, what was expected) where the row has no seven numbers to look at."""
    text = _text(row, ROW_LIMIT)
    if first and _is_html(row):
        return "the row", _text(row), "a CSV row; this is an HTML page"
    if len(row) > ROW_LIMIT:
        return "the row", _text(row), f"at most {ROW_LIMIT} bytes in a row"
    fields = text.split(",")
    if first and not any(character.isdigit() for character in text) and len(fields) > 1:
        return "the row", _text(row), "numbers; this looks like a header line, which archives do not have"
    if len(fields) != len(_COLUMNS):
        found = "an empty line" if not text.strip() else f"{len(fields)}"
        return "the row", _text(row), f"{len(_COLUMNS)} columns, found {found}"
    return None


def _value_fault(row: bytes, prefix: bytes, interval: Interval, after: int | None) -> tuple[str, str, str] | None:
    values = dict(zip(_COLUMNS, _text(row, ROW_LIMIT).split(","), strict=True))
    stamp = values["timestamp"]
    for column, (form, expected) in _FORMS.items():
        if form.fullmatch(values[column]) is None:
            return column, values[column], expected
    if not 0 <= int(stamp) < _LATEST:
        hint = "; these look like milliseconds or finer" if int(stamp) >= _LATEST else " from 1970 on"
        return "timestamp", stamp, _SECONDS + hint
    if after is not None and int(stamp) <= after:
        return "timestamp", stamp, "a time after that of the row before"
    raw = _columns(prefix)
    bad = None if raw is None else first_bad_row(_with_times(raw), interval)
    return (bad.column, values[bad.column], bad.expected) if bad else None


def _with_times(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.with_columns((pl.col("timestamp") * 1_000_000).cast(TIMESTAMP))


def _is_html(start: bytes) -> bool:
    return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _text(row: bytes, limit: int = 60) -> str:
    return row[:limit].decode("utf-8", "replace").rstrip("\r\n")
