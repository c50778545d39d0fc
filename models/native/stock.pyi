from models.stock import HistoryRow, StockRow

class PackedStock:
    key: str
    is_current: bool

    def unpacked(self) -> StockRow: ...

def write_stock(row: StockRow | PackedStock) -> bytes: ...
def write_history(row: HistoryRow) -> bytes: ...
