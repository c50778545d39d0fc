from models.native.packing import PackedRow
from models.stock import StockRow

class PackedStock(PackedRow):
    def unpacked(self) -> StockRow: ...

def write_stock(row: StockRow | PackedStock) -> bytes: ...
