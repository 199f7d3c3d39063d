"""What `make bench` says of a target that it could not measure: not that it is met."""

import shutil
from pathlib import Path

import pytest

from benchmarks import dashboard, questdb
from scripts.questdb_server import LocalServer, ServerError


def test_a_questdb_that_cannot_be_started_meets_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def start(server: LocalServer) -> bool:
        raise ServerError("java is not installed")

    monkeypatch.setattr(LocalServer, "start", start)
    assert questdb.run(tmp_path / "questdb") == {"left_out": "java is not installed", "targets_met": False}
    assert "not measured, so not met: java is not installed" in capsys.readouterr().out


def test_a_dashboard_that_cannot_be_asked_meets_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert dashboard.run(tmp_path / "dashboard") == {"left_out": "wrk is not installed", "targets_met": False}
    assert "not measured, so not met: wrk is not installed" in capsys.readouterr().out
