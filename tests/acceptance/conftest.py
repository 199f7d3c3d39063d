"""A home for a whole file of tests: what one command left behind is what the next one finds."""

from pathlib import Path

import pytest

from tests.acceptance.commands import Commands


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    home: Path = tmp_path_factory.mktemp("home")
    return Commands(home)


@pytest.fixture
def fresh(tmp_path: Path) -> Commands:
    """A home of its own for one test."""
    home = tmp_path / "home"
    home.mkdir()
    return Commands(home)
