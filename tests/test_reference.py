"""The reference is made from the code; a stale page fails here."""

import importlib.util
import re
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT


def pages() -> dict[Path, str]:
    spec = importlib.util.spec_from_file_location("make_reference", CHECKOUT / "scripts" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: dict[Path, str] = module.pages()
    return made


def test_the_reference_says_what_the_code_does() -> None:
    stale = [path.name for path, text in pages().items() if path.read_text() != text]
    assert stale == [], "run: .venv/bin/python scripts/make_reference.py"


@pytest.mark.parametrize("page", ["README.md", "docs/ohlcv-ingestion.md"])
def test_every_link_to_a_file_leads_somewhere(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    targets = [target for target in re.findall(r"\]\(([^)#:]+)\)", text) if not target.startswith("http")]
    assert targets
    assert [target for target in targets if not (CHECKOUT / page).parent.joinpath(target).exists()] == []
