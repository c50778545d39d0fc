from typing import ClassVar

class PackedRow:
    is_document: ClassVar[bool]
    is_filed: ClassVar[bool]
    key: str
    is_current: bool

    def leave(self) -> None: ...
