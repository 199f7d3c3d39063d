"""Events of one run, as builders."""

from pathlib import Path
from uuid import UUID

from chandlery.candles.interval import Interval
from chandlery.pipeline.events import (
    AskDone,
    AskPlanned,
    AskStarted,
    AskWaiting,
    DerivationPlanned,
    EdgeMoved,
    Event,
    FileDone,
    FilePlanned,
    FilesDone,
    FilesStarted,
    FillDone,
    FillStarted,
    GapsFound,
    JobEnded,
    JobStarted,
    OpenPlanned,
    PlanLine,
    Planned,
    Resumed,
    SeriesAsked,
    SeriesFilled,
    SourceFound,
    SourcesFound,
)
from tests.reporting.reports import NOW, at, between

JOB = UUID("1f2e3d4c-0000-4000-8000-123456789abc")
HOURLY, DAILY = Interval.M60, Interval.M1440


def started(title: str = "XBTUSD, ETHUSD") -> JobStarted:
    return JobStarted(JOB, title, (HOURLY, DAILY), 2, NOW)


def sources(*problems: str, unclassified: tuple[str, ...] = ()) -> SourcesFound:
    release = SourceFound(
        Path("/srv/Kraken_OHLCVT_Q1_2024.zip"), "ZIP", "Kraken_OHLCVT_Q1_2024", "2024-01-01 to 2024-03-31", 10_123, 8
    )
    return SourcesFound(
        (SourceFound(Path("/srv/kraken"), "FOLDER", "", "", 7, 6), release), problems, unclassified, (Path("/srv"),)
    )


def no_sources() -> SourcesFound:
    return SourcesFound((), (), (), (Path("/srv/archives"),))


def planned(files: int = 2, left_open: int = 1, asks: int = 1) -> Planned:
    return Planned(
        files=tuple(FilePlanned(f"/srv/kraken/M{i}USD_60.csv", 3_000_000) for i in range(files)),
        unchanged=2,
        lines=(PlanLine(HOURLY, 223_456, 10_000, 200_000, 720, 0, 12_736),),
        derivations=(DerivationPlanned("XBTUSD", DAILY, HOURLY, 646, between("2021-04-01", "2023-01-07")),),
        open=tuple(
            OpenPlanned("XBTUSD", HOURLY, between("2023-01-07 10:00", "2023-01-08"), 14, "download it")
            for _ in range(left_open)
        ),
        files_serve=between("2013-10-06", "2023-04-01"),
        asks=tuple(
            AskPlanned("XBTUSD", HOURLY, 720, between("2025-10-24 19:00", "2025-11-23 19:00")) for _ in range(asks)
        ),
        ask_seconds=40.0,
        api_serves=between("2025-10-24 19:00", "2025-11-23 19:00"),
    )


def completed(name: str = "XBTUSD_60.csv", size: int = 10_000, rows: int = 500) -> FileDone:
    return FileDone(f"/srv/kraken/{name}", size, "COMPLETED", rows, rows - 7, 7)


def failed(label: str = "/srv/kraken/BADUSD_60.csv", error: str = "", size: int = 10_000) -> FileDone:
    return FileDone(label, size, "FAILED", error=error or f"{label}:17: price is '12x4'; expected a number above zero")


def asked(market: str = "XBTUSD", inserted: int = 20, *current: str, revised: int = 0) -> SeriesAsked:
    covered = between("2025-10-24 19:00", "2025-11-23 19:00")
    return SeriesAsked(market, HOURLY, covered, inserted, revised, current=current)


def unanswered(market: str = "BADUSD", error: str = "Kraken answers 503") -> SeriesAsked:
    return SeriesAsked(market, HOURLY, error=error)


def resumed(fetched: int = 0, derived: int = 0) -> Resumed:
    return Resumed("PAUSED", 25, 40, 1_234_567, fetched, derived, at("2026-11-23 22:30"))


def edge_moved(hourly: int = 40, revised: int = 0, before: float = 0.9521, after: float = 0.9529) -> EdgeMoved:
    """From 20:00 to 22:00."""
    fetched = between("2026-11-23 20:00", "2026-11-23 22:00") if hourly else None
    candles = ((HOURLY, hourly), (DAILY, hourly // 2)) if hourly else ()
    return EdgeMoved(at("2026-11-23 20:00"), fetched, candles, revised, "TIER1", before, after)


def ended(status: str = "COMPLETED", *failures: tuple[str, str], error: str = "") -> JobEnded:
    files = sum("/" in label for label, _ in failures)
    return JobEnded(JOB, status, files, NOW, error, failures)


def incremental_run(*asked: Event, moved: EdgeMoved) -> list[Event]:
    """No files; these answers."""
    return [
        started("TIER1"),
        no_sources(),
        planned(files=0),
        FilesDone(0, 0, 0, 0, 0.0),
        GapsFound(1, 20, 0, 1, 0),
        AskStarted(len(asked), 1.0),
        *asked,
        AskDone(len(asked), 0, 40, 0, len(asked), 1.0),
        FillDone(0, 0, 0),
        moved,
    ]


def whole_run() -> list[Event]:
    """Six files, one of them bad; planned again in between; three requests, one in vain; derived in two rounds."""
    bad = failed()
    return [
        started(),
        sources(unclassified=("FOOBAR",)),
        planned(),
        FilesStarted(5, 50_000),
        *(completed(f"M{i}USD_60.csv") for i in range(4)),
        bad,
        FilesStarted(1, 1_000),
        completed("LATEUSD_60.csv", 1_000),
        FilesDone(5, 2, 1, 2_500, 2.0),
        GapsFound(3, 1_234, 1, 1, 1),
        AskStarted(3, 42.0),
        asked("XBTUSD", 20, "ETHUSD 60min", "BADUSD 60min", revised=1),
        AskWaiting("Kraken is in maintenance", 30.0),
        AskWaiting("Kraken is in maintenance", 30.0),
        asked("ETHUSD", 1_234),
        unanswered(),
        AskDone(3, 1, 1_254, 1, 5, 42.0),
        FillStarted(1),
        SeriesFilled("XBTUSD", Interval.M720, HOURLY, 600, 640),
        FillStarted(1),
        SeriesFilled("XBTUSD", DAILY, HOURLY, 640, 646),
        FillDone(2, 1_240, 1_286),
        ended("COMPLETED", (bad.label, bad.error), ("BADUSD 60min", "Kraken answers 503")),
    ]
