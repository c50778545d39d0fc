"""Rows: the state of one key, as it stands in a changelog, and the keys themselves.

A key is text, its parts joined by `|` and escaped. A value is a JSON object with a
`version` that only grows; a deleted row is `{"deleted": true, "version": …}`. When none can
bring it back any more, a tombstone follows, a record without value: the key is forgotten.
"""

from collections.abc import Iterable
from typing import ClassVar, Final, Protocol, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

PLACE_BITS: Final = 44
SEPARATOR: Final = "|"

TOMBSTONE_VERSION: Final = "version"
"""The header of a tombstone, which has no value to say in at which version the row went."""


class Row(Struct, kw_only=True, gc=False):
    """What every row has. None can refer to itself, so no collector needs to look at any.

    `is_filed`: it is written, and hardly ever read again.
    """

    is_document: ClassVar[bool] = False
    is_filed: ClassVar[bool] = False

    version: int

    def settle(self) -> None:
        """Derive, before encoding, the fields that readers see and transitions do not keep."""


class Document(Row, kw_only=True):
    """A row that is forgotten some days after the log last changed it, if it is over by then.

    `day` is when that was, in days since 1970; unset in rows from before there was one, which
    are kept.
    """

    is_document: ClassVar[bool] = True

    day: int | UnsetType = UNSET

    def is_over(self) -> bool:
        """Whether only repeats can still concern it."""
        return True


class Deleted(Row):
    """A row that is gone, until compaction may forget it."""

    deleted: bool = True


class Packed(Protocol):
    """A row in another form, in the row's place for as long as nobody asks for it."""

    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]

    def leave(self) -> None:
        """Another row is put in its place."""

    def unpacked(self) -> Row:
        """The row, in whose place this must not be any more."""


R = TypeVar("R", bound=Row)


class Rows(Protocol):
    """The rows that a transition may read and change. Reads see earlier changes."""

    def get(self, key: str, kind: type[R]) -> R | None:
        """The row of `key`, or None where there is none."""

    def put(self, key: str, row: Row) -> None:
        """Replace the row of `key`."""

    def delete(self, key: str, version: int) -> None:
        """Remove the row of `key`; `version` says when."""


_encode = msgspec.json.Encoder().encode
_decoders: dict[type[Row], msgspec.json.Decoder[Row]] = {}


def encode(row: Row) -> bytes:
    """The value of `row` as it stands in the changelog."""
    row.settle()
    return _encode(row)


def decode(value: bytes, kind: type[R]) -> R:
    """The row that `value` holds. Raises msgspec.MsgspecError where it is not a `kind`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return decoder.decode(value)  # type: ignore[return-value]


def joined(values: Iterable[bytes]) -> bytes:
    """A JSON array of values that are encoded already."""
    return b"[" + b",".join(values) + b"]"


class _Head(Struct):
    version: int
    deleted: bool = False


_decode_head = msgspec.json.Decoder(_Head).decode


def head(value: bytes) -> tuple[int, bool]:
    """Version of a value, and whether it says that the row is deleted."""
    found = _decode_head(value)
    return found.version, found.deleted


def tombstone_version(headers: Iterable[tuple[str, bytes]]) -> int:
    """The version that a tombstone's headers tell; 0 where they do not."""
    return next((int(value) for name, value in headers if name == TOMBSTONE_VERSION), 0)


def escape(part: str) -> str:
    """A key's part, with the separator and the escape character itself escaped."""
    if "|" in part or "%" in part:
        return part.replace("%", "%25").replace("|", "%7C")
    return part


def unescape(part: str) -> str:
    """The inverse of `escape`."""
    return part.replace("%7C", "|").replace("%25", "%") if "%" in part else part


def key(kind: str, *parts: str | int) -> str:
    """The key of a row of `kind`."""
    return SEPARATOR.join(
        [kind, *[escape(part) if type(part) is str else str(part) for part in parts]]
    )


def parts(row_key: str) -> list[str]:
    """Kind and unescaped parts of a key."""
    return [unescape(part) for part in row_key.split(SEPARATOR)]


def stock_key(sku: str, location: str) -> str:
    """The key of a stock row; called for every movement, hence written out."""
    if "|" in sku or "%" in sku:
        sku = escape(sku)
    if "|" in location or "%" in location:
        location = escape(location)
    return f"stock|{sku}|{location}"


def version(generation: int, place: int) -> int:
    """A row's version: it grows with the place in the log, and the topics' generation.

    Below 2^53 for 511 generations, so that any JSON reader has it exactly.
    """
    return (generation << PLACE_BITS) + place


class Memory(dict[str, Row]):
    """Rows in a plain dictionary: for tests, replays and models of the service."""

    def get(self, key: str, kind: type[R]) -> R | None:  # type: ignore[override]
        row = dict.get(self, key)
        return row if isinstance(row, kind) else None

    def put(self, key: str, row: Row) -> None:
        self[key] = row

    def delete(self, key: str, version: int) -> None:
        self.pop(key, None)
