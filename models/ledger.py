"""The ledger: what each line did to its row, append-only."""

from typing import Final

import msgspec
from msgspec import Struct

from models import native
from models.instants import Instant
from models.movements import AnyMovement
from models.outcomes import Outcome
from models.rows import stock_key

SETS: Final = frozenset({Outcome.REBASED, Outcome.ADOPTED})
"""What became of a movement that set its row rather than changed it."""


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


Head = tuple[str, int, Instant, Instant, bool, bytes]
"""What an entry is looked up by, and its bytes.

The key of its row, its version, when it was received and took effect, whether it set its row.
"""


class _Moved(Struct, array_like=True):
    """The beginning of a movement."""

    kind: str
    sku: str
    location: str
    topic: int
    partition: int
    ordinal: int
    source: str
    epoch: int
    sequence: int
    line: int
    effective: Instant


class _Begun(Struct, array_like=True):
    """The beginning of an entry and of its movement: what follows may be of an older form."""

    version: int
    previous: int
    kind: str
    outcome: str
    received: Instant
    deltas: msgspec.Raw
    on_hand: int
    reserved: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int
    variance: int
    movement: _Moved


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(list[LedgerEntry]).decode
"""The entries of a ledger record. Raises msgspec.MsgspecError where the bytes are none."""

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_begun = msgspec.json.Decoder(_Begun).decode


def heads(record: bytes, *, compiled: bool = True) -> list[Head]:
    """The heads of a record's entries. Raises msgspec.MsgspecError where the bytes are none.

    Without `compiled`, the general way, which is slower.
    """
    plain = native.heads(record) if compiled and native.heads is not None else None
    if plain is not None:
        return plain
    found = []
    for raw in _split(record):
        begun = _begun(raw)
        moved = begun.movement
        stock = stock_key(moved.sku, moved.location)
        sets = begun.outcome in SETS
        found.append((stock, begun.version, begun.received, moved.effective, sets, bytes(raw)))
    return found
