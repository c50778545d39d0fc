"""An event as the service understands it: when it happened, and of which items it speaks."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec import Struct

from models import clock, rows
from models.arrival import SourceRow
from models.clock import Skew
from models.events import SourceEvent, pos, returns, warehouse
from models.instants import Instant, from_datetime
from models.outcomes import Code
from models.reference import Reference

BASE_UNIT: Final = "each"

ReadLine = tuple[int, str, int, Any, str | None]
"""Line number, SKU, base units, the line as sent, and its code where that was an alias."""


class Held(NamedTuple):
    """A line (0: all lines) that waits for something that is not known yet.

    `want` names what it waits for; the original is taken again once that is there.
    """

    line: int
    code: Code
    reason: str
    want: str


class Reading(Struct, gc=False):
    """`at` is the time as sent, `effective` corrected; `why` says how it was.

    `units` are those of all lines that are not held.
    """

    at: Instant
    effective: Instant
    why: tuple[str, ...]
    skew: Skew | None
    zone: ZoneInfo | None
    lines: list[ReadLine]
    held: list[Held]
    units: int = 0

    def instant(self, moment: datetime) -> Instant:
        """Another time of the same event, corrected in the same way.

        Raises ValueError for a local time where the zone is not known.
        """
        if moment.tzinfo is not None:
            at = from_datetime(moment)
        elif self.zone is not None:
            at = clock.resolve(moment, self.zone, None).at
        else:
            raise ValueError("a time has no offset")
        return at + self.effective - self.at


@cache
def zone_of(name: str) -> ZoneInfo:
    """An IANA zone. Raises ZoneInfoNotFoundError or ValueError where there is none."""
    return ZoneInfo(name)


def read(
    event: SourceEvent,
    source: SourceRow,
    reference: Reference,
    received: Instant,
    *,
    is_latest: bool,
) -> Reading:
    """Read an event with what is known of its source, location and items.

    `received` is the time of its record. `is_latest` says that it follows all that its
    source has sent: only then does it teach about the device's clock, and can the
    source's order settle a repeated hour.
    """
    moment = event.time
    skew, sent = source.skew, event.sentat
    if sent is None and skew is None and reference.plain and moment.tzinfo is not None:
        plain = _read_plain(event, from_datetime(moment), received)
        if plain is not None:
            return plain
    zone, missing = _zone(event, reference)
    if missing is not None:
        return Reading(received, received, (), skew, None, [], [missing])
    resolved = _resolve(moment, zone, source.newest if is_latest else None)
    if sent is not None and is_latest:
        skew = clock.observe(skew, from_datetime(sent), received)
    sent_at = from_datetime(sent) if sent is not None else None
    timed = clock.corrected(resolved.at, sent_at, received, skew)
    lines, held = _lines(event, reference, timed.at)
    why = (*resolved.why, *timed.why)
    units = sum(one[2] for one in lines)
    return Reading(resolved.at, timed.at, why, skew, zone, lines, held, units)


def _resolve(moment: datetime, zone: ZoneInfo | None, before: Instant | None) -> clock.Timed:
    if moment.tzinfo is not None or zone is None:
        return clock.Timed(from_datetime(moment))
    return clock.resolve(moment, zone, before)


def _zone(event: SourceEvent, reference: Reference) -> tuple[ZoneInfo | None, Held | None]:
    """The zone of the event's location, or why its local times can't be told."""
    location = location_of(event)
    known = reference.location(location)
    name = known.zone if known is not None else None
    zone = zone_of(name) if name is not None else None
    if event.time.tzinfo is not None and not _has_local_times(event):
        return zone, None
    facts = reference.source(event.source)
    if facts is None or not facts.local_time:
        reason = "a time has no offset, and the source is not known to send local times"
        return None, Held(0, Code.OFFSET_MISSING, reason, rows.key("local", event.source))
    if zone is None:
        reason = f"a time has no offset, and no zone is known of location {location}"
        return None, Held(0, Code.OFFSET_MISSING, reason, rows.key("zone", location))
    return zone, None


def _has_local_times(event: SourceEvent) -> bool:
    times: Iterable[datetime | None]
    if isinstance(event, warehouse.StockCounted):
        times = (event.data.started, *(line.counted_at for line in event.data.lines))
    elif isinstance(event, warehouse.ShipmentAdvised | warehouse.TransferShipped):
        times = (event.data.expected,)
    else:
        return False
    return any(time is not None and time.tzinfo is None for time in times)


def _read_plain(event: SourceEvent, at: Instant, received: Instant) -> Reading | None:
    """Read where no reference data is known: codes are SKUs, units the base, clocks right.

    None where that is not all there is to it.
    """
    if type(event) in _SPECIAL and not _is_plain(event):
        return None
    lines: list[ReadLine] = []
    units = 0
    sent: list[Any] = event.data.lines  # type: ignore[assignment]
    for line in sent:
        if line.uom is not None and line.uom != BASE_UNIT:
            return None
        quantity = line.quantity
        units += quantity
        lines.append((line.line, line.sku, quantity, line, None))
    if at > received + clock.FUTURE:
        why = (clock.FUTURE_CLAMPED,)
        return Reading(at, received, why, None, None, lines, _NONE_HELD, units)
    return Reading(at, at, (), None, None, lines, _NONE_HELD, units)


def _is_plain(event: SourceEvent) -> bool:
    """Whether an event has no other times or codes than all have."""
    return type(event) in _TIMED and not _has_local_times(event)


def _lines(
    event: SourceEvent, reference: Reference, at: Instant
) -> tuple[list[ReadLine], list[Held]]:
    if isinstance(event, pos.SaleVoided):
        return [], []
    facts = reference.source(event.source)
    pass_unknown = facts is None or facts.unknown_items == "pass"
    lines: list[ReadLine] = []
    held: list[Held] = []
    for line in event.data.lines:
        code = getattr(line, "actual_sku", None) or line.sku
        found = reference.sku_of(code, at)
        if found is None and not pass_unknown and reference.item(code) is None:
            reason = f"line {line.line}: item {code} is not known"
            held.append(Held(line.line, Code.UNKNOWN_ITEM, reason, rows.key("item", code)))
            continue
        sku = found or code
        quantity = line.quantity
        if line.uom is not None and line.uom != BASE_UNIT:
            units = reference.units_of(sku, line.uom, at)
            if units is None:
                held.append(_unknown_unit(line, sku, line.uom))
                continue
            quantity *= units
        lines.append((line.line, sku, quantity, line, code if found else None))
    return lines, held


def _unknown_unit(line: Any, sku: str, uom: str) -> Held:
    reason = f"line {line.line}: no pack size is known of {sku} by {uom}"
    return Held(line.line, Code.UNKNOWN_UNIT, reason, rows.key("unit", sku, uom))


def is_met(want: str, reference: Reference, now: Instant) -> bool:
    """Whether reference data now has what a held line waits for."""
    kind, *names = rows.parts(want)
    match kind, names:
        case "item", [code]:
            return reference.item(code) is not None or reference.sku_of(code, now) is not None
        case "unit", [sku, uom]:
            return reference.units_of(sku, uom, now) is not None
        case "local", [source]:
            facts = reference.source(source)
            return facts is not None and facts.local_time
        case "zone", [location]:
            known = reference.location(location)
            return known is not None and known.zone is not None
    return False


_SPECIAL: Final = frozenset(
    {
        pos.SaleVoided,
        returns.ReturnAuthorized,
        returns.ReturnShipped,
        returns.ReturnReceived,
        returns.ReturnInspected,
        returns.ReturnDisposed,
        returns.ReturnRefunded,
        returns.ReturnCredited,
        warehouse.StockCounted,
        warehouse.ShipmentAdvised,
        warehouse.TransferShipped,
    }
)
_TIMED: Final = frozenset(
    {warehouse.StockCounted, warehouse.ShipmentAdvised, warehouse.TransferShipped}
)
_TRANSFERS: Final = frozenset({warehouse.TransferShipped, warehouse.TransferReceived})
_NONE_HELD: Final[list[Held]] = []


def location_of(event: SourceEvent) -> str:
    """The location where the event happened."""
    if type(event) not in _TRANSFERS:
        return event.data.location  # type: ignore[union-attr]
    if isinstance(event, warehouse.TransferShipped):
        return event.data.origin
    if isinstance(event, warehouse.TransferReceived):
        return event.data.destination
    raise TypeError(f"no location: {type(event).__name__}")
