"""What pages are made of, kept for as long as state is the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

from chandlery.web.pages.state_version import Version, state_version

T = TypeVar("T")


class Kept(Generic[T]):
    """The last `most` values, each by what was asked for and by the state it was made from."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, tuple[Version, T]] = OrderedDict()
        self._lock = Lock()

    def get(self, asked: Hashable, make: Callable[[], T]) -> T:
        """The value for `asked` by the state as it is now. While one is made others wait: they want the same."""
        with self._lock:
            # Looked at first: what changes while the value is made makes it old at once.
            version = state_version()
            held = self._values.get(asked)
            if held is not None and version is not None and held[0] == version:
                self._values.move_to_end(asked)
                return held[1]
            made = make()
            if version is not None:
                self._values[asked] = (version, made)
                self._values.move_to_end(asked)
                while len(self._values) > self._most:
                    self._values.popitem(last=False)
            return made
