from models.arrival import SourceRow
from models.native.packing import PackedRow

class PackedSource(PackedRow):
    def unpacked(self) -> SourceRow: ...

def write_source(row: SourceRow | PackedSource) -> bytes: ...
