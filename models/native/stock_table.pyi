from typing import Protocol

from models.rows import Packed, Row, Rows

class _Live(Rows, Protocol):
    live: dict[str, Row | Packed]
    changed: dict[str, Row | Packed]

class StockTable:
    def __init__(self, rows: _Live) -> None: ...
