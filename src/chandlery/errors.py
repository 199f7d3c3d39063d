"""The root of every error a user may see. The docstring of an error class is its message."""

from typing import Any, Self


class ChandleryError(Exception):
    """{message}"""

    exit_status = 1

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        template = (type(self).__doc__ or "").strip()
        super().__init__(" ".join(template.format(**facts).split()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors cross from worker processes to the parent, so they must survive pickling.
        return (_rebuild, (type(self), self.facts))

    @classmethod
    def with_facts(cls, facts: dict[str, Any]) -> Self:
        return cls(**facts)


class UsageError(ChandleryError):
    """{message}"""

    exit_status = 2


def _rebuild(cls: type[ChandleryError], facts: dict[str, Any]) -> ChandleryError:
    return cls.with_facts(facts)
