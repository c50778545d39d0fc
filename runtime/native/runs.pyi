from collections.abc import Callable, Sequence
from typing import overload

class Record:
    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]

class Run(Sequence[Record]):
    size_in_bytes: int
    next_offset: int

    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Run: ...

def run_of(
    fetched: bytes, first: int, decompressed: Callable[[int, bytes], bytes | None]
) -> Run | None: ...
