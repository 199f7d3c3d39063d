"""What pages are made of, kept for as long as what it was made from is the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from chandlery.models import Market
from chandlery.pipeline.standing import marks_of
from chandlery.web.pages.state_version import Version, state_version

T = TypeVar("T")
Look = Callable[[], Hashable]


@dataclass(slots=True)
class _Held(Generic[T]):
    """A value with the state that it was made from: as a whole, and that part which it depends on."""

    version: Version
    mark: Hashable
    value: T


class Kept(Generic[T]):
    """The last `most` values, each by what was asked for and by the state it was made from.

    `mark` tells something that changes whenever a value would: where others write all the time, it is asked whether
    what they wrote matters.
    """

    def __init__(self, most: int, mark: Look | None = None) -> None:
        self._most = most
        self._mark = mark
        self._values: OrderedDict[Hashable, _Held[T]] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: Hashable, make: Callable[[], T]) -> T:
        """The value for `asked` by the state as it is now. While one is made others wait: they want the same."""
        with self._lock:
            # Looked at first: what changes while the value is made makes it old at once.
            version = state_version()
            held = self._values.get(asked) if version is not None else None
            if held is not None and held.version == version:
                self._values.move_to_end(asked)
                return held.value
            mark = self._mark() if self._mark is not None and version is not None else None
            if held is not None and version is not None and mark is not None and held.mark == mark:
                held.version = version
                return held.value
            made = make()
            if version is not None:
                self._values[asked] = _Held(version, mark, made)
                self._values.move_to_end(asked)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return made


def state_mark() -> Hashable:
    """Something that changes whenever a report may: jobs that count, and leases that are renewed, change no report."""
    return _marks.get("reports", lambda: hash(frozenset(marks_of(Market.objects.select_related("base")).items())))


_marks: Kept[Hashable] = Kept(1)
