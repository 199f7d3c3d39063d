"""The image and the composition: what they name is there, nothing secret is in them, and nobody works as root."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from chandlery.config.options import OPTIONS
from scripts.questdb_server import LocalServer
from tests.conftest import CHECKOUT

COMPOSE: dict[str, Any] = yaml.safe_load((CHECKOUT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text().replace("\\\n", " ")
HOURLY = CHECKOUT / "scripts" / "hourly"


def instructions(name: str) -> list[str]:
    """What stands behind an instruction of the Dockerfile, in order."""
    return re.findall(rf"^{name}\s+(.+)$", DOCKERFILE, re.MULTILINE)


def copied() -> list[Path]:
    """What comes out of the checkout into the image."""
    lines = [line for line in instructions("COPY") if "--from=" not in line]
    return [CHECKOUT / word for line in lines for word in line.split()[:-1] if not word.startswith("--")]


# ---------------------------------------------------------------------------------------------------- the image


def test_everything_that_is_copied_into_the_image_is_there() -> None:
    assert copied()
    assert [path for path in copied() if not path.exists()] == []


def test_nothing_that_is_copied_is_kept_out_and_all_else_is() -> None:
    lines = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    names = [str(path.relative_to(CHECKOUT)) for path in copied()]
    assert [name for name in names if not any(fnmatch(name, pattern) for pattern in let_in)] == []
    assert sorted(let_in) == sorted(names)


def test_what_is_installed_is_locked_with_hashes() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]
    locked, ours = installs
    assert "--require-hashes -r requirements/server.txt" in locked
    assert "--no-deps --no-build-isolation ." in ours


def test_the_image_works_for_a_user_that_is_not_root() -> None:
    assert instructions("USER") == ["chandlery"]
    assert "useradd --uid 10001" in DOCKERFILE


def test_the_image_looks_after_itself_with_a_command_that_exists() -> None:
    [check] = instructions("HEALTHCHECK")
    assert json.loads(check.partition("CMD ")[2]) == ["chandlery", "doctor", "--offline"]
    assert get_commands()["doctor"] == "chandlery"


def test_no_secret_is_in_the_image_or_the_composition() -> None:
    texts = [DOCKERFILE, (CHECKOUT / "compose.yaml").read_text()]
    named = [found for text in texts for found in re.findall(r"(?:PASSWORD|SECRET|TOKEN)\w*(?:=|: +)(\S+)", text)]
    assert [value for value in named if not value.startswith(("${", "%s"))] == []
    assert "chandlery:${POSTGRES_PASSWORD:?" in texts[1]


# ---------------------------------------------------------------------------------------------- the composition


def words(service: dict[str, Any]) -> list[str]:
    """The command of ours that a service runs."""
    typed = [*service.get("entrypoint", ["chandlery"]), *service["command"]]
    return typed[typed.index("chandlery") + 1 :]


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_runs_a_command_that_exists(name: str) -> None:
    command, *options = words(OURS[name])
    assert command in get_commands()
    asked = [sys.executable, str(CHECKOUT / "manage.py"), command, "--help"]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
    assert [option for option in options if option.startswith("--") and option not in shown] == []


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_sets_only_what_is_a_setting(name: str) -> None:
    known = {option.name for option in OPTIONS} | {"ALLOWED_HOSTS", "WEB_LOGIN_REQUIRED"}
    assert set(OURS[name]["environment"]) <= known
    assert OURS[name]["environment"]["DATABASE_URL"].startswith("postgres://")


def test_images_of_others_are_pinned() -> None:
    others = [service["image"] for name, service in SERVICES.items() if name not in OURS]
    assert [image for image in others if not re.fullmatch(r"[a-z/]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", image)] == []
    assert len(others) == 2


def test_questdb_acknowledges_what_is_on_the_disk_as_the_checkouts_own_does() -> None:
    name = "QDB_CAIRO_COMMIT_MODE"
    assert SERVICES["questdb"]["environment"].get(name) == LocalServer().settings()[name] == "sync"


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8000:8000"]


def test_what_has_to_be_kept_is_in_volumes_that_are_declared() -> None:
    mounts = [
        mount.rsplit(":", 2 if mount.endswith(":ro") else 1)[0] for s in SERVICES.values() for mount in s["volumes"]
    ]
    assert {mount for mount in mounts if re.fullmatch(r"[a-z]+", mount)} == set(COMPOSE["volumes"])


def test_services_wait_for_what_there_is() -> None:
    waits = [(name, other) for name, service in SERVICES.items() for other in service.get("depends_on", {})]
    assert [wait for wait in waits if wait[1] not in SERVICES] == []
    assert ("worker", "migrate") in waits
    assert ("dashboard", "migrate") in waits


def test_the_guide_explains_what_has_to_be_set() -> None:
    guide = (CHECKOUT / "docs" / "how-to" / "docker.md").read_text()
    asked = set(re.findall(r"\$\{(\w+)", (CHECKOUT / "compose.yaml").read_text()))
    assert asked == {"POSTGRES_PASSWORD", "QUESTDB_PASSWORD", "ARCHIVES"}
    assert [name for name in asked if name not in guide] == []


# ------------------------------------------------------------------------------------------------------- hourly

STOPPABLE = """
import signal, sys
def stop(*_):
    print("paused", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("running", flush=True)
signal.pause()
"""


@contextmanager
def hourly(*command: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [str(HOURLY), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Nothing that it has begun outlives it, or keeps its output open.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_stop_reaches_the_command_in_hand_which_ends_in_its_own_time() -> None:
    with hourly(sys.executable, "-c", STOPPABLE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.terminate()
        assert process.stdout.readline() == "paused\n"
        assert process.wait(30) == 143


def test_a_run_that_fails_is_told_and_is_not_the_last() -> None:
    with hourly("sh", "-c", "exit 3") as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "hourly: ended with exit status 3\n"
        assert process.poll() is None
        process.terminate()
        assert process.wait(30) == 143
