"""What every view does: take rows guarded by version, and answer by key."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple, Protocol

from models.rows import parts

Update = tuple[str, int, bytes | None]
"""The key of a row, its version, and its value, None where it is gone.

Of stock the value is the answer, as `answer_of` has it.
"""


class Stock(NamedTuple):
    """The answer for one SKU at one location, all but its last field.

    `answer` is a JSON object without its closing brace; `gaps` are those of the sources
    that report on the location.
    """

    answer: bytes
    version: int
    gaps: int

    def body(self) -> bytes:
        """The whole answer."""
        return b'%b,"gaps":%d}' % (self.answer, self.gaps)


class ViewUnavailableError(Exception):
    """The view cannot answer now; it may soon."""


class View(Protocol):
    """Rows by key. A row is replaced only by one of a higher version.

    What reads raises ViewUnavailableError; what writes waits until it can.
    """

    portion: ClassVar[int]
    """Records that are best taken at once, while others read."""

    async def begin(self) -> None:
        """The rows are about to be put from the beginning."""

    async def apply(self, updates: Sequence[Update]) -> None:
        """Take rows; older ones than those held are ignored."""

    async def forget(self, gone: Sequence[tuple[str, int]]) -> None:
        """Rows, by key and version, of which the log need not say any more that they are gone."""

    async def stocks(self, wanted: Sequence[tuple[str, str]]) -> list[Stock | None]:
        """The stock of each (SKU, location), in the order asked."""

    async def locations(self, sku: str) -> list[str]:
        """The locations of which there is a row of the SKU, in order."""

    async def source(self, source: str) -> list[bytes]:
        """The rows of a source, one per topic, in the topics' order."""

    async def row(self, key: str) -> bytes | None:
        """Any other row."""

    async def stamp(self, matched_at: float) -> bool:
        """Note when (Unix seconds) the view last matched the log's end.

        False where the view has lost rows since `begin`: they must be put again.
        """
        ...

    async def matched_at(self) -> float | None:
        """When the view last matched the log's end, Unix seconds; None if it never did."""

    async def size(self) -> int:
        """How many stock rows there are."""

    async def close(self) -> None:
        """Let go of connections."""


_BOOK = b',"book":'


def answer_of(value: bytes) -> bytes:
    """The public part of a stock row's value, without its closing brace.

    The service's own fields begin with `book`. The bytes cannot stand inside a string:
    a quote there would be escaped.
    """
    return value[: value.index(_BOOK)]


def kind_of(key: str) -> str:
    """The kind of a row's key."""
    return key.partition("|")[0]


def sku_and_location(key: str) -> tuple[str, str]:
    """The SKU and location of a stock row's key."""
    _, sku, location = parts(key)
    return sku, location
