"""The ledger: what each line did to its row, append-only."""

import msgspec
from msgspec import Struct

from models.instants import Instant
from models.movements import AnyMovement


class LedgerEntry(Struct, array_like=True, gc=False):
    """One line applied or refused, a JSON array of these fields in this order.

    The movement says which SKU and location, and who said what, when. Buckets are the
    balance after it, times in microseconds. `version` is unique within its row,
    `previous` that of the entry before (-1: none). Where a movement changed several rows,
    its entry in another row has that row's location. `flags` say in words what is worth
    telling. A repeat of a version (after a crash) is to be dropped by readers.
    """

    version: int
    previous: int
    kind: str
    outcome: str
    received: Instant
    deltas: dict[str, int]
    on_hand: int
    reserved: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int
    variance: int
    movement: AnyMovement
    flags: tuple[str, ...] = ()


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(list[LedgerEntry]).decode
"""The entries of a ledger record. Raises msgspec.MsgspecError where the bytes are none."""
