"""What holds for the project as a whole: no file of it names a place that only one machine has."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import chandlery
from chandlery.config.options import OPTIONS

CHECKOUT = Path(__file__).parents[1]

# Spelled in two halves each, so that this file holds none of them.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js.org",
    "repo1." + "maven",
    "repo." + "maven",
    "deb." + "debian",
    "crates" + ".io",
    "proxy." + "golang",
]
PERSONAL_PATH = re.compile(r"(?<![\w.~/-])/(?:home|Users|root|work)/(?!you\b|user\b)[\w.-]+")

LOCKS = sorted((CHECKOUT / "requirements").glob("*.txt"))


def project_files() -> list[Path]:
    """Every file that is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return [path for name in listed.split("\0") if name and (path := CHECKOUT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    """Those that are text, by name."""
    found = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content:
            found.append((str(path.relative_to(CHECKOUT)), content.decode()))
    return found


@pytest.fixture(scope="module")
def files() -> list[tuple[str, str]]:
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a checkout: there is no list of the project's files")
    return texts()


def test_no_file_names_a_registry(files: list[tuple[str, str]]) -> None:
    assert [(name, host) for name, text in files for host in REGISTRY_HOSTS if host in text] == []


def test_no_file_names_a_path_of_one_machine(files: list[tuple[str, str]]) -> None:
    assert [(name, found) for name, text in files for found in PERSONAL_PATH.findall(text)] == []


def test_there_are_locked_requirements_for_users_developers_and_servers() -> None:
    assert [path.name for path in LOCKS] == ["base.txt", "dev.txt", "server.txt"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locked_requirements_are_pinned_with_hashes(path: Path) -> None:
    entries = re.split(r"^(?=\S)", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE), flags=re.MULTILINE)
    unpinned = [
        entry for entry in entries if entry.strip() and not re.match(r"[a-z0-9.-]+==\S+ .*\\\n +--hash=sha256:", entry)
    ]
    assert unpinned == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locked_requirements_carry_no_address(path: Path) -> None:
    assert re.findall(r"^.*(?:://|--index-url|--extra-index-url|--find-links).*$", path.read_text(), re.MULTILINE) == []


def test_developers_work_with_what_users_get() -> None:
    base, dev, server = (set(re.findall(r"^[a-z0-9.-]+==[^ \\]+", path.read_text(), re.MULTILINE)) for path in LOCKS)
    assert base - dev == set()
    assert base - server == set()


def test_the_package_and_the_project_agree_on_the_version() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    assert project["version"] == chandlery.__version__


def test_the_example_settings_show_every_setting_and_its_default() -> None:
    example = (CHECKOUT / ".env.example").read_text()
    shown = dict(re.findall(r"^# ?([A-Z_]+)=(.*)$", example, re.MULTILINE))
    expected = {option.name: option.default for option in OPTIONS if option.name != "CHANDLERY_HOME"}
    assert shown == expected
