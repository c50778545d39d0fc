from collections.abc import Callable

from models.instants import Instant
from models.packs import Pack
from models.rows import Rows
from models.stock import StockRow

class PlainDeltas:
    taken: int
    skipped: int
    index: int

    def __init__(self, trust_origins: bool) -> None: ...
    def begin(
        self,
        value: bytes,
        rows: Rows,
        entries: Pack,
        base: int,
        received: Instant,
        promise_moved: Callable[[StockRow, int], None] | None,
    ) -> None: ...
    def advance(self) -> bool: ...
    def forget(self) -> None: ...
    @property
    def element(self) -> bytes: ...
