"""Looking at a lake from outside."""

from pathlib import Path

from chandlery.stores.parquet import ParquetLake


def files_of(lake: ParquetLake) -> list[str]:
    """What a reader's glob finds."""
    return sorted(str(path.relative_to(lake.root)) for path in lake.root.glob("**/*.parquet"))


def fingerprints(lake: ParquetLake) -> dict[str, tuple[int, int]]:
    stats = {name: (lake.root / name).stat() for name in files_of(lake)}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def staged_in(lake: ParquetLake) -> list[Path]:
    return list((lake.root / ".staging").iterdir())
