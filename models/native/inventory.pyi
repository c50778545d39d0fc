from collections.abc import Callable
from typing import Protocol

from models.instants import Instant
from models.packs import Pack
from models.rows import Packed, Row, Rows

class _Live(Rows, Protocol):
    live: dict[str, Row | Packed]
    changed: dict[str, Row | Packed]

class PackedRows:
    def __init__(self, rows: _Live) -> None: ...

class PlainDeltas:
    taken: int
    skipped: int
    index: int

    def __init__(self, trust_origins: bool) -> None: ...
    def begin(
        self,
        value: bytes,
        packed: PackedRows,
        entries: Pack,
        base: int,
        received: Instant,
        promise_moved: Callable[[str, str, int, int], None] | None,
    ) -> None: ...
    def advance(self) -> bool: ...
    def forget(self) -> None: ...
    @property
    def element(self) -> bytes: ...
