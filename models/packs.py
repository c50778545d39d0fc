"""JSON values that are encoded already, packed into arrays: a record holds many."""

from typing import Protocol

from models import native
from models.rows import joined


class Pack(Protocol):
    """JSON values in arrays of up to so many."""

    def add(self, value: bytes) -> None:
        """Take a value that is encoded already."""

    def taken(self) -> list[bytes]:
        """The arrays of what was added; the pack is empty again."""

    def clear(self) -> None:
        """Forget what was added."""


class _Pack:
    def __init__(self, most: int) -> None:
        self._most = most
        self._values: list[bytes] = []

    def add(self, value: bytes) -> None:
        self._values.append(value)

    def taken(self) -> list[bytes]:
        values, self._values = self._values, []
        starts = range(0, len(values), self._most)
        return [joined(values[start : start + self._most]) for start in starts]

    def clear(self) -> None:
        self._values.clear()


def pack(most: int, *, compiled: bool) -> Pack:
    """An empty pack of arrays of up to `most` values."""
    return native.Pack(most) if compiled and native.Pack is not None else _Pack(most)
