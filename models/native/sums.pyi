from msgspec import Raw

from models.instants import Instant
from models.stock import Sums

def by_minute(kept: Raw) -> tuple[Instant, Sums]: ...
