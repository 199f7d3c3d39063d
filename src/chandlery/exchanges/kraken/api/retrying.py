"""What is asked again, and after how long a wait."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from chandlery.exchanges.kraken.api.settings import ApiSettings

#: No wait between two attempts is longer, whatever a server asks for. Seconds.
LONGEST_WAIT = 60.0
#: A wait that a person should hear of. Seconds.
WORTH_TELLING = 2.0
#: Where Kraken says that it is asked too often, the first wait is so many times longer: its counters fall slowly.
CROWDED_FACTOR = 4

OnWait = Callable[[str, float], None]


class Failure(Exception):
    """An attempt that failed in a way that may pass. Never leaves the package: see errors.py for what does."""

    def __init__(
        self, reason: str, *, unconnected: bool = False, crowded: bool = False, retry_after: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.unconnected = unconnected  # nobody was there at all
        self.crowded = crowded  # asked too often
        self.retry_after = retry_after  # seconds that the server asks for


@dataclass(slots=True)
class Attempts:
    """The attempts at one thing: counts the failures, and says after each how long to wait before the next attempt.

    Called with the exception of each failed attempt, as stamina calls its backoff hooks: False is "do not repeat".
    """

    settings: ApiSettings
    on_wait: OnWait | None = None
    failures: int = 0
    ever_connected: bool = False

    def __call__(self, problem: Exception) -> bool | float:
        if not isinstance(problem, Failure):
            return False
        self.failures += 1
        self.ever_connected = self.ever_connected or not problem.unconnected
        if self.failures >= self.settings.attempts:
            return False
        wait = wait_before_repeating(self.failures, problem, self.settings.retry_wait, random.uniform(0.75, 1.25))
        if self.on_wait is not None and wait > WORTH_TELLING:
            self.on_wait(_told(problem), wait)
        return wait


def _told(problem: Failure) -> str:
    """Kraken's API does not answer (connection refused)"""
    what = "does not answer" if problem.unconnected else "gives no usable answer"
    if problem.crowded:
        what = "is asked too often"
    reason = problem.reason
    if reason[1:2].islower():  # a sentence, and no name such as EService:Busy
        reason = reason[:1].lower() + reason[1:]
    return f"Kraken's API {what}{f': {reason}' if '(' in reason else f' ({reason})'}"


def wait_before_repeating(failures: int, problem: Failure, retry_wait: float, jitter: float) -> float:
    """Seconds to wait after so many failures of one thing: doubling, times `jitter`, a minute at most.

    What the server asks for (Retry-After) is granted up to that minute. `retry_wait` 0 is no wait at all.
    """
    if retry_wait == 0:
        return 0.0
    first = retry_wait * (CROWDED_FACTOR if problem.crowded else 1)
    # Long before the 30th doubling the minute decides; a float would overflow at the 1024th.
    doubled = first * 2.0 ** min(failures - 1, 30)
    return min(LONGEST_WAIT, max(doubled * jitter, problem.retry_after))
