from collections.abc import Sequence
from typing import Any

def newest_stock(
    records: Sequence[Any],
) -> tuple[list[tuple[str, int, bytes]], list[Any]]: ...
