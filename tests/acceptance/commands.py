"""Commands as a user runs them, all in one home."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import CHECKOUT, CompletedRun, clean_environment

#: No command of a test takes so many seconds.
OVERDUE = 300


@dataclass(frozen=True, slots=True)
class Commands:
    """`commands("ingest_kraken_unified", "--tier", "TIER1")`: manage.py in a process of its own, living in `home`.

    Where nothing says which API to ask, none is asked; trades and the ledger are left alone unless `trades` says else.
    `settings` are in the environment of each.
    """

    home: Path
    trades: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, **environment: str) -> CompletedRun:
        ended = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *self.typed(arguments, environment)],
            cwd=self.home,
            env=clean_environment(self.home) | dict(self.settings) | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=OVERDUE,
            check=False,
        )
        return CompletedRun(ended.returncode, ended.stdout, ended.stderr)

    def typed(self, arguments: Sequence[object], environment: Mapping[str, str]) -> list[str]:
        """What is typed after the name of the program."""
        words = [str(word) for word in arguments]
        if words[0] != "ingest_kraken_unified":
            return words
        if "KRAKEN_API" not in environment:
            return [*words, "--no-api-backfill"]
        is_said = self.trades or {"--trade-budget", "--resume", "--no-api-backfill"} & set(words)
        return words if is_said else [*words, "--trade-budget", "0"]

    @property
    def lake(self) -> Path:
        return self.home / "data" / "candles"


def lake_state(lake: Path) -> dict[Path, tuple[int, int]]:
    """Inode and time of every file of candles: equal if and only if nothing was written."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in sorted(lake.rglob("*.parquet"))}
