"""The ledger: what each line did to its row, append-only."""

from msgspec import Struct

from models.instants import Instant


class LedgerEntry(Struct, omit_defaults=True, gc=False):
    """One line applied or refused. Buckets are the balance after; times in microseconds.

    `version` of an entry is unique within its row, `previous` is that of the entry
    before: following it backwards explains a number. A repeat of a version (after a
    crash) is to be dropped by readers.
    """

    sku: str
    location: str
    version: int
    previous: int
    kind: str
    outcome: str
    deltas: dict[str, int]
    topic: str
    source: str
    epoch: int
    sequence: int
    line: int
    arrival: str
    effective: Instant
    received: Instant
    on_hand: int = 0
    reserved: int = 0
    quality_control: int = 0
    damaged: int = 0
    in_transit: int = 0
    incoming: int = 0
    safety_stock: int = 0
    variance: int = 0
