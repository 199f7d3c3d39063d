"""The sandbox from a terminal."""

import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx2
import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.__main__ import main
from chandlery.sandbox.exchange import SandboxExchange
from tests.candles.builders import between


def test_help_shows_the_commands() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "chandlery.sandbox", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "archives" in shown
    assert "truth" in shown
    assert "markets" in shown


def test_truth_prints_rows_as_an_archive_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["truth", "--market", "XBTUSD", "--interval", "60", "--from", "2024-01-01", "--to", "2024-01-02"]
    assert main(asked) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    truth = SandboxExchange().candles("XBTUSD", Interval.M60, between("2024-01-01", "2024-01-03"))
    assert [int(row[0]) for row in rows] == truth["timestamp"].dt.epoch("s").to_list()
    assert [float(row[5]) for row in rows] == truth["volume"].to_list()


def test_markets_lists_each_with_its_life(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["markets"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 1 + 12 + 1
    assert any(line.split()[:3] == ["MATICUSD", "MATIC/USD", "2022-02-23"] for line in shown)


def test_archives_writes_each_quarter_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--markets", "XBTUSD,ICXUSD", "--intervals", "60,1440", "--workers", "1"]
    assert main(["archives", "--out", str(tmp_path), "--quarters", "2024Q1,2024Q2", "--naming", "old", *few]) == 0
    assert capsys.readouterr().out.count("2 markets, 4 files") == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "Kraken_OHLCVT_Q1_2024.zip",
        "Kraken_OHLCVT_Q2_2024.zip",
    ]


def test_archives_has_the_defects_that_are_asked_for(tmp_path: Path) -> None:
    defect = "missing-day:day=2024-03-31,market=XBTUSD,interval=1440"
    few = ["--markets", "XBTUSD,ICXUSD", "--intervals", "60,1440", "--workers", "1"]
    assert main(["archives", "--out", str(tmp_path), "--quarters", "2024Q1", "--defect", defect, *few]) == 0
    with zipfile.ZipFile(tmp_path / "Kraken_OHLCVT_2024Q1.zip") as archive:
        assert archive.read("XBTUSD_1440.csv").count(b"\n") == 90
        assert archive.read("ICXUSD_1440.csv").count(b"\n") == 91


def test_archives_are_the_same_from_several_processes(tmp_path: Path) -> None:
    asked = ["--quarters", "2024Q1", "--markets", "XMREUR,ICXUSD", "--intervals", "60"]
    for workers in ("1", "2"):
        assert main(["archives", "--out", str(tmp_path / workers), *asked, "--workers", workers]) == 0
    one, two = ((tmp_path / workers / "Kraken_OHLCVT_2024Q1.zip").read_bytes() for workers in ("1", "2"))
    assert one == two


def test_archives_of_days_are_loose_files(tmp_path: Path) -> None:
    days = [
        "--from",
        "2024-01-01",
        "--to",
        "2024-01-07",
        "--markets",
        "XBTUSD",
        "--intervals",
        "1440",
        "--workers",
        "1",
    ]
    assert main(["archives", "--out", str(tmp_path), *days]) == 0
    assert (tmp_path / "XBTUSD_1440.csv").read_bytes().count(b"\n") == 7


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_serve_prints_its_address_and_answers_until_it_is_told_to_stop(ending: signal.Signals) -> None:
    asked = [
        "serve",
        "--port",
        "0",
        "--now",
        "2024-09-01T00:00:30Z",
        "--frozen",
        "--quiet-rows",
        "absent",
        "--rate",
        "1",
        "--cast",
        "small",
        "--ids-since",
        "2024-08-31T23:59:00Z",
        "--edges",
        "repeat",
    ]
    first = SandboxExchange.small().trades("XBTUSD", between("2022-10-06", "2022-10-08"))["time"].to_physical()[0]
    with subprocess.Popen(
        [sys.executable, "-m", "chandlery.sandbox", *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        name, _, address = serving.stdout.readline().strip().partition("=")
        assert name == "KRAKEN_API"
        time, refused = (httpx2.get(f"{address}/0/public/Time").json() for _ in range(2))
        trades = httpx2.get(f"{address}/0/public/Trades?pair=XBTUSD&since={first}&count=1").json()["result"]
        serving.send_signal(ending)
        out, err = serving.communicate(timeout=10)
    assert time["result"]["unixtime"] == 1_725_148_830
    assert refused == {"error": ["EGeneral:Too many requests"]}
    assert trades["last"] == str(first)
    assert [len(row) for row in trades["XXBTZUSD"]] == [6]
    assert (serving.returncode, out, err) == (0, "", "")


def test_serve_says_so_where_its_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"Port {port} of 127.0.0.1 cannot be used: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("archives", "Say what to write"),
        ("archives --complete 24", "'24' is no quarter; write it as 2024Q1"),
        ("archives --from 2024-01-01", "--from and --to go together"),
        ("archives --from 2024-01-02 --to 2024-01-01", "The last day, 2024-01-01, is before the first, 2024-01-02"),
        ("archives --from 2024-02-30 --to 2024-03-01", "'2024-02-30' is no day"),
        ("archives --quarters 2024Q1 --markets FOOUSD", "'FOOUSD' does not play in the sandbox"),
        ("archives --quarters 2024Q1 --intervals 7", "'7' is not known; choose from 1, 5"),
        ("archives --quarters 2024Q1 --defect smudge", "no defect 'smudge'; choose from missing-day"),
        ("archives --quarters 2024Q1 --defect missing-day", "needs day"),
        ("archives --quarters 2024Q1 --defect missing-day:month=3", "no 'month'; it takes day, market, interval"),
        ("archives --quarters 2024Q1 --defect corrupt-row:row=x,text=y", "'x' is no whole number"),
        ("truth --market FOO --interval 60 --from 2024-01-01 --to 2024-01-02", "'FOO' does not play"),
        ("serve --now noon", "'noon' is no time; write it as 2024-09-01T00:00:30Z"),
        ("serve --now 2024-09-01T00:00:30+02:00", "is no time"),
        ("serve --port 99999", "'99999' is no port"),
        ("serve --port http", "'http' is no whole number"),
        ("serve --ids-since ever", "'ever' is no time; write it as 2024-09-01T00:00:30Z"),
        ("serve --rate -1", "'-1' is no number from 0"),
        ("serve --revises-after inf", "'inf' is no number from 0"),
        ("serve --faults 1.2", "Faults cannot befall"),
        ("serve --faults 0.9 --fault html=0.2", "Faults cannot befall 1.1 of the requests"),
        ("serve --fault smudge=0.1", "no fault 'smudge'; choose from rate-limit, api-rate-limit"),
        ("serve --fault html", "'' is no number"),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_2(
    asked: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *rest = asked.split()
    out = ["--out", str(tmp_path), "--workers", "1"] if command == "archives" else []
    assert main([command, *out, *rest]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert told in shown.err
    assert shown.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "fly",
        "archives --quarters 2024Q1",
        "archives --out x --shape tar",
        "truth --seed x",
        "serve --status down",
        "serve --quiet-rows some",
        "serve --edges rough",
        "serve --ticking --frozen",
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(asked.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
