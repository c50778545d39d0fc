from collections.abc import Callable

from models.instants import Instant
from models.native.stock_table import StockTable
from models.packs import Pack

class PlainDeltas:
    taken: int
    skipped: int
    index: int

    def __init__(self, trust_origins: bool) -> None: ...
    def begin(
        self,
        value: bytes,
        packed: StockTable,
        entries: Pack,
        base: int,
        received: Instant,
        promise_moved: Callable[[str, str, int, int], None] | None,
    ) -> None: ...
    def advance(self) -> bool: ...
    def forget(self) -> None: ...
    @property
    def element(self) -> bytes: ...
