from collections.abc import Callable
from typing import Any, ClassVar

class PackedRow:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    key: str
    is_current: bool

    def leave(self) -> None: ...

def write_rows(
    rows: dict[str, Any],
    writers: dict[type[Any], Callable[[Any], bytes]],
    general: Callable[[Any], bytes],
) -> tuple[dict[str, bytes], int]: ...
