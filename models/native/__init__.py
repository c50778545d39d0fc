"""The commonest cases, compiled: see docs/decisions/0016-the-plain-way-is-compiled.md.

Where they were not compiled, everything goes the general way, with the same results.
"""

try:
    from models.native.answers import newest_stock
    from models.native.intake import PlainEvents, placed
    from models.native.inventory import PlainDeltas
    from models.native.ledger import heads
    from models.native.packing import write_rows
    from models.native.sources import PackedSource, write_source
    from models.native.stock import PackedStock, write_stock
    from models.native.stock_table import StockTable
    from models.native.sums import by_minute
    from models.native.text import Pack
    from models.native.written import Written, WrittenDocument
except ImportError:
    Pack = PackedSource = PackedStock = StockTable = None  # type: ignore[assignment,misc]
    PlainDeltas = PlainEvents = Written = WrittenDocument = None  # type: ignore[assignment,misc]
    by_minute = heads = newest_stock = placed = None  # type: ignore[assignment]
    write_rows = write_source = write_stock = None  # type: ignore[assignment]

__all__ = [
    "Pack",
    "PackedSource",
    "PackedStock",
    "PlainDeltas",
    "PlainEvents",
    "StockTable",
    "Written",
    "WrittenDocument",
    "by_minute",
    "heads",
    "newest_stock",
    "placed",
    "write_rows",
    "write_source",
    "write_stock",
]
