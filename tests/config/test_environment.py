"""What a user may set, where from, and what is said of a wrong value."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chandlery.config.environment import BadSetting, Environment, UnreadableSettings, home_folder, kept_secret
from chandlery.config.options import OPTIONS

Said = Callable[..., Environment]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """The environment of a person who has set just this."""
    for option in OPTIONS:
        monkeypatch.delenv(option.name, raising=False)

    def said(**settings: str) -> Environment:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return Environment(tmp_path)

    return said


def test_the_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHANDLERY_HOME", str(tmp_path / "elsewhere"))
    assert home_folder() == tmp_path / "elsewhere"


def test_without_a_word_the_home_is_the_platforms_folder_for_user_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHANDLERY_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert home_folder().name == "chandlery"
    assert home_folder().is_relative_to(tmp_path)


def test_the_defaults_live_in_the_home(said: Said, tmp_path: Path) -> None:
    environment = said()
    assert environment.text("CANDLE_STORE") == "parquet:data/candles"
    assert environment.path("ARCHIVE_DIR") == tmp_path / "data" / "archives"
    assert environment.intervals("DEFAULT_INTERVALS") == (60, 1440)
    assert environment.path("TIERS_FILE") is None
    assert environment.moment("CLOCK") is None
    assert environment.database("DATABASE_URL")["NAME"] == str(tmp_path / "data" / "chandlery.sqlite3")


def test_both_settings_files_are_read_and_the_environment_comes_first(said: Said, tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text("ARCHIVE_DIR=one\nCANDLE_STORE=parquet:one\nTIERS_FILE=one.toml\n")
    (tmp_path / ".env").write_text("# mine\nCANDLE_STORE=parquet:two\nTIERS_FILE='two.toml'\n")
    environment = said(TIERS_FILE="three.toml")
    assert environment.path("ARCHIVE_DIR") == tmp_path / "one"
    assert environment.text("CANDLE_STORE") == "parquet:two"
    assert environment.path("TIERS_FILE") == tmp_path / "three.toml"


def test_a_settings_file_changes_nothing_for_other_programs(said: Said, tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text("WORKERS=7\n")
    assert said().positive("WORKERS", default=1) == 7
    assert "WORKERS" not in os.environ


@pytest.mark.parametrize("denied", ["is_file", "read_text"])
def test_a_settings_file_that_cannot_be_read_is_not_passed_over(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, denied: str
) -> None:
    """Runs would work with the defaults: another database, another store."""
    (tmp_path / "settings.env").write_text("CANDLE_STORE=parquet:one\n")

    def deny(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, denied, deny)
    with pytest.raises(UnreadableSettings, match=rf"{tmp_path}/settings\.env cannot be read: Permission denied; let"):
        said()


def test_an_empty_setting_is_one_not_given(said: Said) -> None:
    assert said(DEFAULT_INTERVALS=" ").intervals("DEFAULT_INTERVALS") == (60, 1440)


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5"])
def test_a_wrong_number_of_workers_says_what_would_be_right(said: Said, value: str) -> None:
    with pytest.raises(BadSetting, match=f"WORKERS is '{value}'; expected a whole number from 1 on"):
        said(WORKERS=value).positive("WORKERS", default=2)


@pytest.mark.parametrize("value", ["abc", "-1", "nan"])
def test_a_wrong_rate_says_what_would_be_right(said: Said, value: str) -> None:
    with pytest.raises(BadSetting, match=f"KRAKEN_RATE is '{value}'; expected a number, 0 or more"):
        said(KRAKEN_RATE=value).number("KRAKEN_RATE")


@pytest.mark.parametrize("value", ["61", "60,", "hourly"])
def test_a_wrong_interval_says_which_there_are(said: Said, value: str) -> None:
    with pytest.raises(BadSetting, match="DEFAULT_INTERVALS .* 1, 5, 15, 30, 60, 240, 720, 1440"):
        said(DEFAULT_INTERVALS=value).intervals("DEFAULT_INTERVALS")


def test_a_fixed_clock_is_in_utc(said: Said) -> None:
    assert said(CLOCK="2026-01-31T14:00:00+02:00").moment("CLOCK") == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", ["2026-01-31T12:00:00", "yesterday"])
def test_a_clock_without_zone_or_meaning_is_refused(said: Said, value: str) -> None:
    with pytest.raises(BadSetting, match="CLOCK is .*with its zone"):
        said(CLOCK=value).moment("CLOCK")


def test_sqlite_waits_for_other_writers_and_never_upgrades_a_lock(said: Said) -> None:
    options = said(DATABASE_URL="sqlite:////srv/state.sqlite3").database("DATABASE_URL")["OPTIONS"]
    assert options["transaction_mode"] == "IMMEDIATE"
    assert options["timeout"] == 30
    assert "journal_mode=WAL" in options["init_command"]


def test_an_absolute_database_path_stays_where_it_is(said: Said) -> None:
    assert said(DATABASE_URL="sqlite:////srv/state.sqlite3").database("DATABASE_URL")["NAME"] == "/srv/state.sqlite3"


def test_a_server_is_named_by_its_url(said: Said) -> None:
    database = said(DATABASE_URL="postgres://me:secret@db.example:5433/candles").database("DATABASE_URL")
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.example", 5433, "candles")
    assert "init_command" not in database.get("OPTIONS", {})


def test_another_kind_of_server_is_refused_without_telling_its_password(said: Said) -> None:
    with pytest.raises(BadSetting, match="DATABASE_URL is 'mysql://db/candles'; expected sqlite") as refused:
        said(DATABASE_URL="mysql://me:secret@db/candles").database("DATABASE_URL")
    assert "secret" not in str(refused.value)


def test_the_secret_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "new"
    first = kept_secret(home)
    assert len(first) >= 50
    assert kept_secret(home) == first
    assert [path.name for path in home.iterdir()] == ["secret_key"]
    assert (home / "secret_key").stat().st_mode & 0o777 == 0o600
