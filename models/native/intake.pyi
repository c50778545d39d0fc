from collections.abc import Sequence
from typing import Any, Protocol

from models.packs import Pack
from models.reference import Reference

class Record(Protocol):
    key: bytes | None
    value: bytes | None
    timestamp: int

class PlainEvents:
    taken: int

    def __init__(self, topic: str, packs: list[Pack]) -> None: ...
    def take_run(
        self,
        records: Sequence[Record],
        start: int,
        work: Any,
        reference: Reference,
        longest: int,
        heaviest: int,
    ) -> int: ...
    def forget(self) -> None: ...

def placed(key: bytes, partitions: int) -> int: ...
