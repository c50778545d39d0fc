"""Why a number is what it is: the ledger entries that make a row's on_hand, and their sum.

They begin with the last count or adopted book. What such a statement had to add again,
because it had happened after it, is listed with it.
"""

from typing import Any, NamedTuple

from models import topics
from models.instants import to_rfc3339
from models.ledger import SETS, LedgerEntry
from models.movements import UNSEQUENCED, Booked, CountClosed, Counted
from models.stock import Change, StockRow, empty, is_after_count


class Explanation(NamedTuple):
    """`start` units, and the entries that lead from there to the last one's on_hand.

    `base` is the statement that the row starts from, None where the ledger's beginning is
    all there is; then `start` is what earlier, forgotten entries had come to.
    """

    base: LedgerEntry | None
    start: int
    entries: list[LedgerEntry]

    def on_hand(self) -> int:
        """What start and entries come to."""
        return self.start + sum(entry.deltas.get("on_hand", 0) for entry in self.entries)


def explain(entries: list[LedgerEntry]) -> Explanation:
    """Explain a row from its ledger entries, ascending by version; at least one is needed."""
    places = [place for place, entry in enumerate(entries) if entry.outcome in SETS]
    if not places:
        first = entries[0]
        return Explanation(None, first.on_hand - first.deltas.get("on_hand", 0), entries)
    base = entries[places[-1]]
    row = _as_stated(base)
    added = [
        entry
        for entry in entries[: places[-1]]
        if entry.deltas.get("on_hand")
        and entry.outcome not in SETS
        and is_after_count(row, _change(entry))
    ]
    start = base.on_hand - sum(entry.deltas["on_hand"] for entry in added)
    return Explanation(base, start, [*added, *entries[places[-1] + 1 :]])


def _as_stated(base: LedgerEntry) -> StockRow:
    """The row as far as it says what came after a statement."""
    said = base.movement
    row = empty(said.sku, said.location, base.version, said.effective)
    row.counted_at = row.count_started = said.effective
    if isinstance(said, Booked):
        row.through = said.through
        return row
    if isinstance(said, Counted | CountClosed):
        row.count_started = said.started
        row.counted_by = (said.source, said.epoch, said.sequence)
    return row


def _change(entry: LedgerEntry) -> Change:
    said = entry.movement
    units = entry.deltas["on_hand"]
    return Change(said.effective, units, said.source, said.epoch, said.sequence)


def told(entry: LedgerEntry) -> dict[str, Any]:
    """A ledger entry for people: who said what, when, and what it did."""
    said = entry.movement
    note = said.note
    document: dict[str, Any] = {
        "version": entry.version,
        "kind": entry.kind,
        "outcome": entry.outcome,
        "arrival": said.arrival,
        "topic": topics.NUMBERED[said.topic],
        "source": said.source,
        "epoch": said.epoch,
        "sequence": None if said.sequence == UNSEQUENCED else said.sequence,
        "line": said.line,
        "happened_at": to_rfc3339(said.effective),
        "received_at": to_rfc3339(entry.received),
        "deltas": entry.deltas,
        "on_hand": entry.on_hand,
        "reserved": entry.reserved,
    }
    if isinstance(said, Counted):
        document["counted"] = said.quantity
    if entry.flags:
        document["flags"] = entry.flags
    if note is not None:
        told_of_event = {
            "id": note.id,
            "time_as_sent": note.time,
            "corrections": note.why,
            "code_as_sent": note.code,
            "business_day": note.business_day,
            "correlationid": note.correlationid,
            "causationid": note.causationid,
            "traceparent": note.traceparent,
        }
        document["event"] = {name: value for name, value in told_of_event.items() if value}
    return document
