"""A plan as one JSON object, for `--dry-run --json`."""

import json

from chandlery.pipeline.events import Planned
from chandlery.reporting.as_json import as_plain


def plan_as_json(planned: Planned) -> str:
    """`{"plan": {"files", "unchanged", "lines", "asks", "derivations", "open", …}}`; times ISO 8601 with Z."""
    return json.dumps({"plan": as_plain(planned)}, indent=2)
