"""How Kraken's REST API is asked, as a value."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Times in seconds. `rate`: requests a second for one market, 0 for no limit; `budget` is the file by which
    processes share it (None: each for itself). `retry_wait` is the first of waits that double, up to a minute.
    """

    base_url: str = "https://api.kraken.com"
    rate: float = 1.0
    connections: int = 8
    timeout: float = 20.0
    attempts: int = 5
    retry_wait: float = 1.0
    maintenance_wait: float = 900.0
    budget: Path | None = None
