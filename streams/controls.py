"""Controls of sources, and the service's own move to newer reference data."""

from typing import Final

import msgspec

from models.arrival import SourceRow, fill_up, judge_totals
from models.arrival import open_epoch as open_in_row
from models.events.service import EpochOpened, HeartbeatSent, Offsets, ReferenceMoved
from models.instants import Instant, from_datetime, to_datetime
from models.reference import Catalog, Reference
from streams.decisions import SERVICE
from streams.engine.stage import Work
from streams.holding import Holding, epoch_want

REFERENCE_KEY: Final = b"onhand.reference"


def beat(row: SourceRow, event: HeartbeatSent) -> list[str]:
    """Take a heartbeat into its source's row; returns what does not agree, in words."""
    said = event.data
    epoch = event.epoch or (row.opened[-1][1] if row.opened else 0)
    fill_up(row, epoch, said.sequence)
    if said.transactions is None and said.units is None:
        return []
    totals = judge_totals(row, epoch, said.sequence, said.transactions, said.units)
    if totals is None or totals == row.totals:
        return []
    row.totals = totals
    if totals.agree:
        return []
    transactions, units = totals.counted
    told = f"{said.transactions} transactions and {said.units} units up to {said.sequence}"
    return [f"the source has {told}; {transactions} and {units} arrived"]


def open_epoch(work: Work, holding: Holding, row: SourceRow, event: EpochOpened) -> None:
    """A source started anew: what was suspected of it is taken again, in the new epoch."""
    want = epoch_want(row.topic, row.source)
    waiting = holding.waiting(want)
    if event.data.since is not None:
        since = from_datetime(event.data.since)
    else:
        since = min([from_datetime(event.time), *(held.at for _, held in waiting)])
    if open_in_row(row, event.data.epoch, since):
        holding.append_again(work, want)
        for key, _ in waiting:
            holding.let_go(row, key)


def move_reference(
    catalog: Catalog, reference: Reference, event: ReferenceMoved
) -> Reference | None:
    """The reference data from here on; None while the catalog has not been read that far."""
    wanted = event.data.offsets
    if any(catalog.ends.get(topic, 0) < offset for topic, offset in wanted.items()):
        return None
    merged = {
        topic: max(wanted.get(topic, 0), reference.offsets.get(topic, 0))
        for topic in sorted({*wanted, *reference.offsets})
    }
    return reference if merged == reference.offsets else Reference(catalog, merged)


def reference_moved(catalog: Catalog, now: Instant) -> bytes:
    """The record that moves an input partition to all the reference data that was read."""
    return msgspec.json.encode(
        ReferenceMoved(
            specversion="1.0",
            id=f"reference-{now}",
            source=SERVICE,
            time=to_datetime(now),
            data=Offsets(dict(catalog.ends)),
        )
    )
