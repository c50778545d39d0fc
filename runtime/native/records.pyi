from collections.abc import Callable, Sequence
from typing import TypeAlias

Headers: TypeAlias = list[tuple[str, bytes]]

def packed(
    values: dict[str, bytes],
    records: Sequence[tuple[str | bytes | None, bytes | None, Headers]],
    most: int,
    headers_of: Callable[[Headers], bytes],
) -> tuple[bytes, int]: ...
