"""A plan as one JSON object, for `--dry-run --json`."""

import json
from dataclasses import asdict
from datetime import datetime
from enum import IntEnum
from typing import Any

from chandlery.pipeline.events import Planned
from chandlery.reporting.as_json import instant


def plan_as_json(planned: Planned) -> str:
    """`{"plan": {"files", "unchanged", "lines", "derivations", "open", …}}`; times ISO 8601 with Z."""
    return json.dumps({"plan": _plain(asdict(planned))}, indent=2)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held) for held in value]
    if isinstance(value, datetime):
        return instant(value)
    return int(value) if isinstance(value, IntEnum) else value
