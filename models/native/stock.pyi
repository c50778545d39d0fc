from typing import ClassVar

from models.stock import StockRow

class PackedStock:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    key: str
    is_current: bool

    def leave(self) -> None: ...
    def unpacked(self) -> StockRow: ...

def write_stock(row: StockRow | PackedStock) -> bytes: ...
