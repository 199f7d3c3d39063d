"""Bad input, as users really have it: one clear line for each, the rest goes on, and nothing of it reaches the lake."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from tests.acceptance.commands import Commands
from tests.acceptance.state import state_rows
from tests.conftest import CompletedRun
from tests.exchanges.kraken.archive.builders import HOUR, START, hours, split, unpacked, zipped

GOOD: dict[str, bytes | str] = {"XBTUSD_60.csv": hours(48), "ETHUSD_60.csv": hours(48), "XRPUSD_60.csv": hours(24)}
#: The row that is wrong is the 31st of each bad file, after rows that are not.
BAD_LINE = 31
AT = START + 30 * HOUR
HTML = "<!DOCTYPE html>\n<html><body>Moved</body></html>\n"


def with_row(row: str) -> bytes:
    """Sound rows before and after `row`."""
    return hours(30) + f"{row}\n".encode() + hours(10, start=AT + HOUR)


#: Market of a loose file: its content and the line that says what is wrong, after the file's own path.
LOOSE: dict[str, tuple[bytes | str, str]] = {
    "LTCUSD": (with_row(f"{AT},1,2,l,1.5,3,4"), ":31: low is 'l'; expected a finite price above zero."),
    "ADAUSD": (with_row(f"{AT},1,2,1,1.5,-3,4"), ":31: volume is '-3'; expected a finite volume of at least zero."),
    "SOLUSD": (
        with_row(f"{AT},1,2,3,1.5,3,4"),
        ":31: low is '3'; expected a low that is at most open, close and high.",
    ),
    "XMRUSD": (with_row(f"{AT},NaN,2,1,1.5,3,4"), ":31: open is 'NaN'; expected a finite price above zero."),
    "ETCUSD": (with_row(f"{AT},1,inf,1,1.5,3,4"), ":31: high is 'inf'; expected a finite price above zero."),
    "ZECUSD": (with_row(f"{AT},1,2,0,1.5,3,4"), ":31: low is '0'; expected a finite price above zero."),
    "DOTUSD": (
        with_row(f"{AT},1,2,1,1.5,3"),
        f":31: the row is '{AT},1,2,1,1.5,3'; expected 7 columns, found 6.",
    ),
    "LINKUSD": (
        with_row(f"{AT}000,1,2,1,1.5,3,4"),
        f":31: timestamp is '{AT}000'; expected unix seconds; these look like milliseconds or finer.",
    ),
    "UNIUSD": (
        with_row(f"{START},1,2,1,1.5,3,4"),
        f":31: timestamp is '{START}'; expected a time after that of the row before.",
    ),
    "AAVEUSD": (
        with_row(f"{AT - HOUR},1,2,1,1.5,3,4"),
        f":31: timestamp is '{AT - HOUR}'; expected a time after that of the row before.",
    ),
    "ATOMUSD": (
        with_row(f"{AT + 60},1,2,1,1.5,3,4"),
        f":31: timestamp is '{AT + 60}'; expected a multiple of 60 minutes since the epoch.",
    ),
    "ALGOUSD": (HTML, ":1: the row is '<!DOCTYPE html>'; expected a CSV row; this is an HTML page."),
    "FILUSD": ("", ":1: the file is empty; expected at least one row."),
}

ZIPPED_ROW = "inside.zip:q1/DASHUSD_60.csv:31: close is 'one'; expected a finite price above zero."
CUT_ROW = "inside.zip:q1/NEARUSD_60.csv:40: the row is"
CLIMBS = "inside.zip:../BCHUSD_60.csv has a name that leads out of the archive; it is not read."
LOCKED_MEMBER = "inside.zip:q1/TRXUSD_60.csv is protected by a password; unpack it and name the folder instead."
WRONG_SUM = "rotten.zip:XTZUSD_60.csv is damaged: its checksum (CRC-32) is wrong."
LATE_ROW = "inside.zip:q1/MANAUSD_1.csv:240001: open is '-1'; expected a finite price above zero."
OF_ARCHIVES = (
    ZIPPED_ROW,
    CUT_ROW,
    CLIMBS,
    LOCKED_MEMBER,
    WRONG_SUM,
    LATE_ROW,
    "cut.zip is not a readable ZIP: it is cut off or damaged",
    "page.zip is not a readable ZIP: it is an HTML page; download the archive again.",
    "locked.zip is protected by a password; unpack it and name the folder instead.",
    "parts.zip cannot be read: parts.zip.part01 is missing; put it beside the other parts.",
    "nothing.zip is not a readable ZIP: it is empty",
    # The market has a sound file too: beside it, the bad one changes nothing.
    "again/XBTUSD_60.csv:31: high is '1'; expected a high that is at least open and close.",
)
IN_ARCHIVES = ("DASHUSD", "NEARUSD", "BCHUSD", "TRXUSD", "XTZUSD", "MANAUSD", "CRVUSD", "COMPUSD", "SNXUSD")
MARKETS = sorted({name.split("_")[0] for name in GOOD} | LOOSE.keys() | set(IN_ARCHIVES))
ASKED = ("--markets", ",".join(MARKETS), "--start-date", "2024-01-01", "--end-date", "2024-01-02", "--yes")


def many_minutes(count: int) -> bytes:
    """More than one block of sound rows, and a wrong one after them."""
    rows = (f"{START + i * 60},42284.9,42493.5,42180.8,42452.1,65.2315413{i % 9 + 1},20" for i in range(count))
    return ("\n".join(rows) + f"\n{START + count * 60},-1,2,1,1.5,3,4\n").encode()


def locked(path: Path, *names: str) -> Path:
    """Set the flag that says a member is encrypted, in its local header and in the directory."""
    content = bytearray(path.read_bytes())
    for name in names:
        for signature, flags, header in ((b"PK\x03\x04", 6, 30), (b"PK\x01\x02", 8, 46)):
            at = content.find(name.encode())
            while at >= 0:
                if content[at - header :].startswith(signature):
                    content[at - header + flags] |= 1
                at = content.find(name.encode(), at + 1)
    path.write_bytes(content)
    return path


def bad_archives(folder: Path) -> None:
    inside: dict[str, bytes | str] = {
        "q1/DASHUSD_60.csv": with_row(f"{AT},1,2,1,one,3,4"),
        "q1/NEARUSD_60.csv": hours(40)[:-7],
        "../BCHUSD_60.csv": hours(5),
        "q1/TRXUSD_60.csv": hours(5),
        "q1/MANAUSD_1.csv": many_minutes(240_000),
    }
    locked(zipped(folder / "inside.zip", inside), "q1/TRXUSD_60.csv")
    cut = zipped(folder / "cut.zip", {"CRVUSD_60.csv": hours(40)})
    cut.write_bytes(cut.read_bytes()[:-30])
    rotten = zipped(folder / "rotten.zip", {"XTZUSD_60.csv": hours(40)}, zipfile.ZIP_STORED)
    rotten.write_bytes(rotten.read_bytes().replace(b"131.5,", b"132.5,", 1))
    locked(zipped(folder / "locked.zip", {"COMPUSD_60.csv": hours(5), "SNXUSD_60.csv": hours(5)}), "COMP", "SNX")
    split(zipped(folder / "parts.zip", {"CRVUSD_60.csv": hours(9)}), 3)[1].unlink()
    (folder / "page.zip").write_text(HTML)
    (folder / "nothing.zip").write_bytes(b"")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What a run over good and bad files left behind."""

    commands: Commands
    source: Path
    run: CompletedRun

    @property
    def lake(self) -> pl.DataFrame:
        return pl.read_parquet(self.commands.lake / "**/*.parquet", hive_partitioning=True)

    def jobs(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.commands("list_jobs", "--json").out)["jobs"]
        return found


@pytest.fixture(scope="module")
def ingested(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    source = tmp_path_factory.mktemp("source")
    unpacked(source / "loose", GOOD | {f"{market}_60.csv": content for market, (content, _) in LOOSE.items()})
    unpacked(source / "again", {"XBTUSD_60.csv": with_row(f"{AT},1,1,1,2,3,4")})
    bad_archives(source)
    done = commands("ingest_kraken_unified", "--source", source, *ASKED, "--intervals", "1,60,1440")
    return Ingested(commands, source, done)


@pytest.mark.parametrize("market", sorted(LOOSE))
def test_a_bad_row_is_told_in_one_line_with_file_and_line_number(ingested: Ingested, market: str) -> None:
    told = [line for line in ingested.run.out.splitlines() if f"{market}_60.csv" in line and "FAILED" in line]
    assert told == [f"FAILED {ingested.source}/loose/{market}_60.csv{LOOSE[market][1]}"]


@pytest.mark.parametrize("said", OF_ARCHIVES)
def test_a_bad_archive_or_member_is_told_in_one_line(ingested: Ingested, said: str) -> None:
    told = [line for line in ingested.run.out.splitlines() if said in line]
    assert len(told) == 1
    assert told[0].startswith(("FAILED ", "PROBLEM "))


def test_the_run_goes_on_and_ends_with_status_1(ingested: Ingested) -> None:
    assert ingested.run.status == 1
    assert "Traceback" not in ingested.run.out + ingested.run.err
    [job] = ingested.jobs()
    assert (job["status"], job["files_ingested"]) == ("COMPLETED", len(GOOD))
    assert job["files_failed"] == len(LOOSE) + len(OF_ARCHIVES)
    assert f"{len(LOOSE) + len(OF_ARCHIVES)} files failed" in ingested.run.out


def test_the_good_files_are_in_the_lake_and_nothing_of_the_bad_ones(ingested: Ingested) -> None:
    stored = ingested.lake.group_by("market", "interval").len().sort("market", "interval").rows()
    assert stored == [
        *(("ETHUSD", 60, 48), ("ETHUSD", 1440, 2), ("XBTUSD", 60, 48), ("XBTUSD", 1440, 2)),
        *(("XRPUSD", 60, 24), ("XRPUSD", 1440, 1)),
    ]
    left = [path for path in ingested.commands.lake.rglob("*") if path.is_file() and path.suffix == ".tmp"]
    assert left == []
    opened = ingested.lake.filter(pl.col("market") == "XBTUSD", pl.col("interval") == 60).sort("timestamp")["open"]
    assert opened.to_list() == [100.5 + i for i in range(48)]


def test_nothing_is_believed_of_what_could_not_be_read(ingested: Ingested) -> None:
    done = ingested.commands("report_completeness", *ASKED[:-1], "--intervals", "60,1440", "--json")
    by_market = {(s["market"], s["interval_minutes"]): s for s in json.loads(done.out)["series"]}
    for market in LOOSE.keys() | set(IN_ARCHIVES):
        assert (by_market[market, 60]["missing"], by_market[market, 60]["completeness"]) == (48, 0.0), market
        # Nor is a day derived from hours that failed.
        assert (by_market[market, 1440]["missing"], by_market[market, 1440]["quiet_claimed"]) == (2, 0), market
    assert by_market["XBTUSD", 60]["completeness"] == 1.0


def test_another_run_reads_only_the_bad_ones_again_and_takes_what_was_mended(ingested: Ingested) -> None:
    unpacked(ingested.source / "loose", {"LTCUSD_60.csv": hours(48)})
    done = ingested.commands("ingest_kraken_unified", "--source", ingested.source, *ASKED, "--intervals", "60")
    assert done.status == 1
    job = ingested.jobs()[0]
    assert (job["files_ingested"], job["files_skipped"]) == (1, len(GOOD))
    assert job["files_failed"] == len(LOOSE) + len(OF_ARCHIVES) - 1
    assert ingested.lake.filter(pl.col("market") == "LTCUSD").height == 48


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A home with a database and nothing in it but what the first command brings."""
    home = Commands(tmp_path_factory.mktemp("untouched"))
    unpacked(home.home / "files", {"MATICUSD_60.csv": hours(5), "notes.txt": "not a candle\n"})
    assert home("list_jobs").status == 0
    return home


def state_of(home: Path) -> dict[str, object]:
    """Every row of the database, and every other file."""
    files = sorted(path for path in home.rglob("*") if not path.name.startswith("chandlery.sqlite3"))
    return {"rows": state_rows(home, but=frozenset()), "files": files}


XBT = ("--markets", "XBTUSD")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*XBT, "--start-date", "2024-02-30"), "--start-date '2024-02-30' is not a day from 1970 to 2099"),
        ((*XBT, "--end-date", "9999-12-31"), "--end-date '9999-12-31' is not a day from 1970 to 2099"),
        ((*XBT, "--start-date", "2098-01-01"), "--start-date 2098-01-01 lies in the future"),
        ((*XBT, "--end-date", "31.12.2024"), "--end-date '31.12.2024' is not a day from 1970 to 2099"),
        (
            (*XBT, "--start-date", "2024-02-02", "--end-date", "2024-02-01"),
            "--start-date 2024-02-02 is after --end-date 2024-02-01",
        ),
        ((*XBT, "--intervals", "60,61"), "Interval '61' is not known; choose from 1, 5, 15, 30, 60, 240, 720, 1440"),
        ((*XBT, "--intervals", ""), "--intervals names none; choose from 1, 5, 15, 30, 60, 240, 720, 1440"),
        (("--tier", "TIER9"), "Tier 'TIER9' is not known; choose from TIER1, TIER2, TIER3, TIER4, ALL"),
        (("--tier", "TIER1", "--quotes", "MOON"), "No market is quoted in 'MOON'; there are"),
        (("--markets", "XBTUSDD", "--source", "files"), "Kraken has no market 'XBTUSDD'; did you mean XBTUSD"),
        ((), "Say what you want: --tier TIER1"),
        ((*XBT, "--tier", "TIER1"), "--tier and --markets are two ways to say what you want; use one of them"),
        ((*XBT, "--source", "nowhere"), "There is nothing at nowhere; name a folder, a ZIP"),
        ((*XBT, "--source", "files/notes.txt"), "files/notes.txt is not a source; name a folder, a .zip"),
        ((*XBT, "--report-csv", "gone/report.csv"), "--report-csv gone/report.csv: no file can be there"),
        ((*XBT, "--workers", "0"), "'0' is no number of processes; give a whole number from 1 on"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_one_line_and_changes_nothing(
    untouched: Commands, arguments: tuple[str, ...], said: str
) -> None:
    before = state_of(untouched.home)
    done = untouched("ingest_kraken_unified", *arguments, "--yes")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: ")
    assert said in done.err
    assert done.err.count("\n") == 1
    assert state_of(untouched.home) == before
