from typing import ClassVar

from models.rows import Document, Row

class Written:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    value: bytes

    def __init__(self, value: bytes, kind: type[Row]) -> None: ...
    def leave(self) -> None: ...
    def unpacked(self) -> Row: ...

class WrittenDocument:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    day: int
    value: bytes

    def __init__(self, version: bytes, rest: bytes, kind: type[Document]) -> None: ...
    def leave(self) -> None: ...
    def unpacked(self) -> Document: ...
