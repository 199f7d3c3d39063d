"""Commands as a user runs them, all in one home."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import CHECKOUT, CompletedRun, clean_environment


@dataclass(frozen=True, slots=True)
class Commands:
    """`commands("ingest_kraken_unified", "--tier", "TIER1")`: manage.py in a process of its own, living in `home`.

    Where nothing says which API to ask, none is asked.
    """

    home: Path

    def __call__(self, *arguments: object, timeout: float = 300, **environment: str) -> CompletedRun:
        if arguments[0] == "ingest_kraken_unified" and "KRAKEN_API" not in environment:
            arguments = (*arguments, "--no-api-backfill")
        ended = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *map(str, arguments)],
            cwd=self.home,
            env=clean_environment(self.home) | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return CompletedRun(ended.returncode, ended.stdout, ended.stderr)

    @property
    def lake(self) -> Path:
        return self.home / "data" / "candles"


def lake_state(lake: Path) -> dict[Path, tuple[int, int]]:
    """Inode and time of every file of candles: equal if and only if nothing was written."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(lake.rglob("*.parquet"))}
