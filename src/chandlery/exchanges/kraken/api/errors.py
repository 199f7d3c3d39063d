"""What can go wrong when Kraken's REST API is asked, said in one line each."""

from chandlery.errors import ChandleryError


class ApiError(ChandleryError):
    """{message}"""


class Unreachable(ApiError):
    """Kraken's API at {url} cannot be reached: {reason}."""


class NoAnswer(ApiError):
    """Kraken gave no usable answer to {what} in {attempts} attempts; the last time: {reason}."""


class Refused(ApiError):
    """Kraken refuses {what}: {reason}."""


class UnknownPair(Refused):
    """Kraken no longer knows the market of {what}: {reason}."""


class UnsoundAnswer(ApiError):
    """Kraken's answer is not as expected: {problem}."""


class BudgetUnusable(ApiError):
    """The file by which processes share Kraken's request rate, {path}, cannot be used: {why}."""
