from models.instants import Instant
from models.packs import Pack
from models.rows import Rows

class PlainDeltas:
    taken: int
    skipped: int
    index: int

    def __init__(self, trust_origins: bool) -> None: ...
    def begin(
        self, value: bytes, rows: Rows, entries: Pack, base: int, received: Instant
    ) -> None: ...
    def advance(self) -> bool: ...
    @property
    def element(self) -> bytes: ...
