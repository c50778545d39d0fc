from typing import ClassVar

from models.arrival import SourceRow

class PackedSource:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    key: str
    is_current: bool

    def leave(self) -> None: ...
    def unpacked(self) -> SourceRow: ...

def write_source(row: SourceRow | PackedSource) -> bytes: ...
