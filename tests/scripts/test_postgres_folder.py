"""scripts/postgres: of a folder that it did not make, it takes nothing and changes nothing."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def asked(verb: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"CHANDLERY_POSTGRES_DIR": str(folder)}
    command = [str(CHECKOUT / "scripts" / "postgres"), verb]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def found_in(folder: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """Owner, mode and content of everything in a folder, and of the folder itself."""
    everything = {path: path.stat() for path in (folder, *folder.rglob("*"))}
    return {
        str(path.relative_to(folder)): (stat.st_uid, stat.st_mode, path.read_bytes() if path.is_file() else None)
        for path, stat in everything.items()
    }


@pytest.mark.parametrize("there", ["data/candles/_lake.json", "data/PG_VERSION", "password", "lock"])
def test_a_folder_of_somebody_else_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("theirs")
    before = found_in(tmp_path)
    started = asked("start", tmp_path)
    assert (started.returncode, started.stdout) == (1, "")
    assert started.stderr == (
        f"scripts/postgres: {tmp_path} holds files that it did not make; name an empty folder, or none, by "
        "CHANDLERY_POSTGRES_DIR\n"
    )
    assert found_in(tmp_path) == before
