"""The doctor as a user runs it: a tick for what is in order, and for each thing that can be wrong what to do."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from chandlery.candles.interval import Interval
from chandlery.sandbox.exchange import SandboxExchange
from chandlery.sandbox.rest import SandboxApi, Status
from chandlery.sandbox.server import serve
from tests.acceptance.commands import Commands
from tests.candles.builders import at
from tests.databases import SERVER, copy_home, replace_state
from tests.exchanges.kraken.archive.builders import hours, unpacked

pytestmark = pytest.mark.slow

NOW = at("2024-04-20 06:17") + timedelta(seconds=23)
INGEST = ("ingest_kraken_unified", "--markets", "XBTUSD", "--intervals", "60", "--end-date", "2024-01-02", "--yes")

Names = dict[str, tuple[str, str, str]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Commands:
    """A home in which everything is in order: archives, a lake, and a state that speaks of it."""
    home = Commands(tmp_path_factory.mktemp("sound"))
    unpacked(home.home / "data" / "archives", {"XBTUSD_60.csv": hours(48)})
    done = home(*INGEST, CLOCK=NOW.isoformat())
    assert done.status == 0, done.err
    return home


@pytest.fixture
def home(sound: Commands, tmp_path: Path) -> Commands:
    """The same, to do harm to."""
    copy_home(sound.home, tmp_path / "home")
    return Commands(tmp_path / "home")


@pytest.fixture(scope="module")
def api() -> SandboxApi:
    return SandboxApi(SandboxExchange.small(), lambda: NOW)


@pytest.fixture(scope="module")
def exchange(api: SandboxApi) -> Iterator[str]:
    with serve(api) as server:
        yield server.url


def looked(home: Commands, *options: str, status: int, **environment: str) -> Names:
    """(state, what is said, remedy) of everything that was looked at, by name."""
    done = home("doctor", "--json", *options, **environment)
    assert done.err == ""
    told = json.loads(done.out)
    assert (done.status, told["ok"]) == (status, status == 0), told
    return {one["name"]: (one["state"], one["said"], one["remedy"]) for one in told["checks"]}


def wrong(home: Commands, name: str, **environment: str) -> tuple[str, str]:
    """What is said of the one thing that is wrong, and the remedy."""
    found = looked(home, "--offline", status=1, **environment)
    assert [one for one, (state, _, _) in found.items() if state == "wrong"] == [name], found
    return found[name][1:]


# --------------------------------------------------------------------------------------------------- in order


def test_where_everything_is_in_order_all_of_it_is_ticked_off(home: Commands, exchange: str) -> None:
    found = looked(home, status=0, KRAKEN_API=exchange, CLOCK=NOW.isoformat())
    assert list(found) == [
        "settings",
        "python",
        "folders",
        "secrets",
        "disk space",
        "database",
        "store",
        "archives",
        "exchange",
        "clock",
    ]
    del found["settings"]  # tells that CLOCK is set
    assert {state for state, _, _ in found.values()} == {"ok"}, found
    assert found["store"][1] == "parquet:data/candles holds 1 series"
    assert ("PostgreSQL" if SERVER else "WAL") in found["database"][1]


def test_for_a_person_it_is_a_line_each(home: Commands) -> None:
    done = home("doctor", "--offline")
    assert (done.status, done.err) == (0, "")
    assert "✓ store       parquet:data/candles holds 1 series\n" in done.out
    assert done.out.endswith("\nAll is well.\n")


def test_a_new_home_is_in_order_and_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    found = looked(Commands(tmp_path / "home"), "--offline", status=0)
    assert found["store"][:2] == ("ok", "parquet:data/candles is not there yet; the first run makes it")
    assert list((tmp_path / "home").iterdir()) == []


def test_offline_asks_nobody(home: Commands) -> None:
    assert {"exchange", "clock"}.isdisjoint(looked(home, "--offline", status=0))


# --------------------------------------------------------------------------------------------------- settings


def test_a_setting_that_cannot_be(home: Commands) -> None:
    done = home("doctor", "--json", WORKERS="many")
    [check] = json.loads(done.out)["checks"]
    assert (done.status, done.err, check["name"], check["state"]) == (1, "", "settings", "wrong")
    assert check["said"] == "The setting WORKERS is 'many'"
    assert "✗ settings" in home("doctor", WORKERS="many").out


def test_a_setting_that_is_misspelt(home: Commands) -> None:
    (home.home / "settings.env").write_text("CANDLE_STOR=parquet:elsewhere\n")
    assert wrong(home, "settings") == ("settings.env sets CANDLE_STOR, which is no setting", "write CANDLE_STORE")


def test_a_table_of_tiers_that_is_gone(home: Commands) -> None:
    said, _ = wrong(home, "settings", TIERS_FILE="gone.toml")
    assert "gone.toml" in said


# ------------------------------------------------------------------------------------------------- the machine


def test_a_file_in_the_place_of_a_folder(home: Commands) -> None:
    (home.home / "logs").write_text("")
    said, remedy = wrong(home, "folders", LOG_FILE="logs/chandlery.log")
    assert said == f"{home.home / 'logs'} is no folder that can be written to"
    assert "chown" in remedy


def test_a_key_that_others_can_read(home: Commands) -> None:
    key = home.home / "secret_key"
    key.write_text("secret")
    key.chmod(0o644)
    assert wrong(home, "secrets") == (f"{key} is open to others (mode 644)", f"chmod 600 {key}")


def test_a_password_in_a_settings_file_that_others_can_read(home: Commands) -> None:
    settings = home.home / ".env"
    settings.write_text("LOG_FILE=log.json\n")
    settings.chmod(0o644)
    assert looked(home, "--offline", status=0)["secrets"][0] == "ok"
    settings.write_text("KRAKEN_API=https://me:secret@proxy\n#\n")
    # A proxy's address that KRAKEN_API refuses: the environment says another.
    said, remedy = wrong(home, "secrets", KRAKEN_API="http://127.0.0.1:9")
    assert (said, remedy) == (f"{settings} is open to others (mode 644)", f"chmod 600 {settings}")


# ------------------------------------------------------------------------------------------------ the database


def test_a_database_that_cannot_be_reached(home: Commands) -> None:
    found = looked(home, "--offline", status=1, DATABASE_URL="postgres://me:hush@127.0.0.1:9/state")
    state, said, remedy = found["database"]
    assert state == "wrong"
    assert said.startswith("The database state on 127.0.0.1 cannot be used: ")
    assert "DATABASE_URL" in remedy
    assert "hush" not in json.dumps(found)
    assert found["store"][0] == "note"


@pytest.mark.sqlite
def test_a_file_that_is_no_database(home: Commands) -> None:
    for path in (home.home / "data").glob("chandlery.sqlite3*"):
        path.unlink()
    (home.home / "data" / "chandlery.sqlite3").write_text("this is no database, however long it may be" * 100)
    said, _ = wrong(home, "database")
    assert "cannot be used: file is not a database" in said


@pytest.mark.sqlite
def test_a_database_of_a_newer_version(home: Commands) -> None:
    with closing(sqlite3.connect(home.home / "data" / "chandlery.sqlite3")) as database:
        database.execute("insert into django_migrations (app, name, applied) values ('chandlery', '9999_later', '')")
        database.commit()
    said, remedy = wrong(home, "database")
    assert "was written by a newer version of Chandlery (it has 9999_later)" in said
    assert remedy.startswith("update Chandlery")


@pytest.mark.postgres
def test_a_server_that_is_not_migrated(home: Commands) -> None:
    import psycopg

    from tests.databases import database_url

    with psycopg.connect(database_url(home.home), autocommit=True) as database:
        database.execute("delete from django_migrations where app = 'chandlery' and name like '0009%'")
    said, remedy = wrong(home, "database")
    assert said.endswith("is not up to date (1 migrations are due)")
    assert remedy == "bring it up to date with: python manage.py migrate"


# --------------------------------------------------------------------------------------------------- the store


def no_lake(home: Commands) -> dict[str, str]:
    shutil.rmtree(home.lake)
    return {}


def another_lake(home: Commands) -> dict[str, str]:
    other = Commands(home.home.parent / "other")
    unpacked(other.home / "data" / "archives", {"XBTUSD_60.csv": hours(48)})
    assert other(*INGEST, CLOCK=NOW.isoformat()).status == 0
    return {"CANDLE_STORE": f"parquet:{other.lake}"}


def a_series_less(home: Commands) -> dict[str, str]:
    shutil.rmtree(home.lake / "exchange=kraken" / "market=XBTUSD" / f"interval={int(Interval.M60)}")
    return {}


def no_state(home: Commands) -> dict[str, str]:
    replace_state(home.home)
    return {}


def unknown_kind(home: Commands) -> dict[str, str]:
    return {"CANDLE_STORE": "parchment:data"}


def damaged(home: Commands) -> dict[str, str]:
    (home.lake / "_lake.json").write_text("{")
    return {}


@pytest.mark.parametrize(
    ("harm", "said", "remedy"),
    [
        (no_lake, "CANDLE_STORE parquet:data/candles is empty or not there", "rebuild_state"),
        (another_lake, "is not the store that the state in the database speaks of", "rebuild_state"),
        (a_series_less, "CANDLE_STORE parquet:data/candles lacks 1 of 1 series", "rebuild_state"),
        (no_state, "holds candles of which the state in the database knows nothing", "rebuild_state"),
        (unknown_kind, "A candle store is written parquet:FOLDER", "'parchment' is no kind of store"),
        (damaged, "does not say which lake this is", "CANDLE_STORE"),
    ],
)
def test_a_store_that_is_not_what_it_should_be(
    home: Commands, harm: Callable[[Commands], dict[str, str]], said: str, remedy: str
) -> None:
    told, advice = wrong(home, "store", **harm(home))
    assert said in told
    assert remedy in advice


# ---------------------------------------------------------------------------------------- archives, the exchange


def test_archives_that_are_not_there_are_told_and_not_wrong(home: Commands) -> None:
    shutil.rmtree(home.home / "data" / "archives")
    state, said, remedy = looked(home, "--offline", status=0)["archives"]
    assert (state, said) == ("note", f"there is no folder {home.home / 'data' / 'archives'}")
    assert remedy.startswith("mkdir -p ")


def test_an_exchange_that_cannot_be_reached(home: Commands) -> None:
    found = looked(home, status=1)
    state, said, remedy = found["exchange"]
    assert (state, "clock" in found) == ("wrong", False)
    assert said.startswith("Kraken's API at http://127.0.0.1:9 cannot be reached")
    assert "--offline" in remedy


def test_an_exchange_in_maintenance(home: Commands, api: SandboxApi, exchange: str) -> None:
    api.status = Status.MAINTENANCE
    try:
        found = looked(home, status=1, KRAKEN_API=exchange, CLOCK=NOW.isoformat())
    finally:
        api.status = Status.ONLINE
    assert found["exchange"][:2] == ("wrong", f"{exchange} answers: maintenance")


def test_a_clock_that_is_wrong(home: Commands, exchange: str) -> None:
    found = looked(home, status=1, KRAKEN_API=exchange, CLOCK=(NOW + timedelta(minutes=5)).isoformat())
    assert found["clock"][:2] == ("wrong", "this machine's clock is 300 seconds ahead of the exchange's")
