"""Bytes to events or coded refusals. Nothing here raises, whatever the bytes.

The fast way is one typed decode. What it refuses is looked at again, slowly, to say
which element or line is bad and why, and to keep the good around it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple, cast, get_args, get_origin, get_type_hints

import msgspec

from models import events, topics
from models.events import AnyEvent, Event, orders, pos, returns, service, warehouse
from models.outcomes import Code, Rejected

MAX_LINE: Final = 1_000_000
MAX_FLAWS_TOLD: Final = 5

EARLIEST_YEAR: Final = 2000
LATEST_YEAR: Final = 2200

_UNION_OF_TOPIC: Final[dict[str, Any]] = {
    topics.POS_SALES: events.PosEvent | events.Control,
    topics.WAREHOUSE_RECEIPTS: events.WarehouseEvent | events.Control,
    topics.RETURNS_DISPOSITIONS: events.ReturnsEvent | events.Control,
    topics.ORDERS_RESERVATIONS: events.OrdersEvent | events.ServiceEvent,
}


def _line_type(kind: type[Event]) -> type | None:
    """The type of the lines that an event of `kind` has, if it has any."""
    data = get_type_hints(kind).get("data")
    lines = get_type_hints(data).get("lines") if data is not None else None
    if lines is None:
        return None
    whole = next((one for one in get_args(lines) if get_origin(one) is list), lines)
    found: type = get_args(whole)[0]
    return found


_LINE_OF_TYPE: Final[dict[str, type]] = {
    events.type_of(kind): found
    for topic in topics.SOURCE_TOPICS
    for kind in events.BY_TOPIC[topic]
    if (found := _line_type(kind)) is not None
}

_NO_SUCH_TIME: Final = (
    Code.INVALID,
    f"a time is not in the years {EARLIEST_YEAR} to {LATEST_YEAR - 1}",
)
_REPEATED_LINE: Final = (Code.INVALID, "a line number stands twice")
_NOWHERE: Final = (Code.INVALID, "a transfer goes from one location to another")


class Decoded(NamedTuple):
    """One element of a record: its event, if any, and what of it was refused.

    `open_lines` are the numbers of refused lines, left open for a corrected resend.
    """

    place: int
    original: bytes
    event: AnyEvent | None
    rejected: tuple[Rejected, ...] = ()
    open_lines: tuple[int, ...] = ()


class Decoder:
    """Decodes the records of one input topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decode_event = cast(
            "Callable[[bytes], AnyEvent]", msgspec.json.Decoder(_UNION_OF_TOPIC[topic]).decode
        )
        self._decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode

    def single(self, value: bytes | None) -> AnyEvent | None:
        """The event of a record that is one flawless event, else None."""
        try:
            event = self._decode_event(value)  # type: ignore[arg-type]
        except (msgspec.MsgspecError, TypeError, UnicodeDecodeError, RecursionError):
            return None
        return None if objection(event) else event

    def elements(self, value: bytes | None) -> list[Decoded]:
        """Every element of a record, in order; a record that is no array is one element."""
        if value is None:
            return [_refused(Code.INVALID, "the record has no value", 0, b"")]
        if not value.lstrip(b" \t\r\n").startswith(b"["):
            return [self._element(0, value)]
        try:
            array = self._decode_array(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return [_refused(Code.INVALID, str(error), 0, value)]
        if not array:
            return [_refused(Code.INVALID, "the array is empty", 0, value)]
        return [self._element(index, bytes(raw)) for index, raw in enumerate(array)]

    def _element(self, index: int, original: bytes) -> Decoded:
        try:
            event = self._decode_event(original)
        except msgspec.ValidationError as error:
            return self._second_look(index, original, str(error))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _refused(Code.INVALID, str(error), index, original)
        found = objection(event)
        if found is _REPEATED_LINE:
            return self._second_look(index, original, found[1])
        if found is not None:
            return _refused(*found, index, original)
        return Decoded(index, original, event)

    def _second_look(self, index: int, original: bytes, reason: str) -> Decoded:
        try:
            document = msgspec.json.decode(original)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return _refused(Code.INVALID, str(error), index, original)
        if not isinstance(document, dict):
            return _refused(Code.INVALID, "an event is a JSON object", index, original)
        kind = document.get("type")
        if not isinstance(kind, str):
            return _refused(Code.INVALID, "type is missing or not a string", index, original)
        if code := self._code_of_type(kind):
            return _refused(code, f"type {kind} in topic {self._topic}", index, original)
        return self._without_bad_lines(index, original, document, kind, reason)

    def _code_of_type(self, kind: str) -> Code | None:
        home = events.TOPIC_OF_TYPE.get(kind)
        if home is None and kind not in events.TYPES_OF_ANY_TOPIC:
            return Code.UNKNOWN_TYPE
        if home is not None and home != self._topic:
            return Code.WRONG_TOPIC
        ours = kind in events.TYPES_OF_ANY_TOPIC and self._topic == topics.ORDERS_RESERVATIONS
        return Code.WRONG_TOPIC if ours else None

    def _without_bad_lines(
        self, index: int, original: bytes, document: dict[str, Any], kind: str, reason: str
    ) -> Decoded:
        data = document.get("data")
        lines = data.get("lines") if isinstance(data, dict) else None
        line_type = _LINE_OF_TYPE.get(kind)
        if line_type is None or not isinstance(lines, list):
            return _refused(Code.INVALID, reason, index, original)
        if len(lines) > events.MAX_LINES:
            return _refused(Code.INVALID, reason, index, original)
        good, bad = _sort_out(lines, line_type)
        if not good or not bad:
            return _refused(Code.INVALID, reason, index, original)
        flaws = "; ".join(f"line {place}: {flaw}" for place, _, flaw in bad[:MAX_FLAWS_TOLD])
        rejected = Rejected(
            Code.INVALID, f"{len(bad)} of {len(lines)} lines: {flaws}", index, original
        )
        open_lines = tuple(number for _, number, _ in bad if number is not None)
        document["data"] = {**data, "lines": good}  # type: ignore[dict-item]
        try:
            event = self._decode_event(msgspec.json.encode(document))
        except msgspec.MsgspecError as error:
            return _refused(Code.INVALID, str(error), index, original)
        if found := objection(event):
            return _refused(*found, index, original)
        return Decoded(index, original, event, (rejected,), open_lines)


def objection(event: AnyEvent) -> tuple[Code, str] | None:
    """What is wrong with a well-formed event, if anything."""
    if not EARLIEST_YEAR <= event.time.year < LATEST_YEAR:
        return _NO_SUCH_TIME
    check = _CHECKS.get(type(event))
    return check(event) if check is not None else None


def _objection_to_lines(event: Any) -> tuple[Code, str] | None:
    highest = 0
    for line in event.data.lines:
        number = line.line
        if number <= highest:
            return _objection_to_order(event)
        highest = number
    return None


def _objection_to_order(event: Any) -> tuple[Code, str] | None:
    lines = event.data.lines
    if len({line.line for line in lines}) != len(lines):
        return _REPEATED_LINE
    return None


def _objection_to_void(event: pos.SaleVoided) -> tuple[Code, str] | None:
    return _objection_to_lines(event) if event.data.lines is not None else None


def _objection_to_receipt(event: warehouse.ReceiptReceived) -> tuple[Code, str] | None:
    if not event.data.final and any(line.quantity == 0 for line in event.data.lines):
        return Code.INVALID, "only a final receipt may say that nothing came"
    return _objection_to_lines(event)


def _objection_to_advice(event: warehouse.ShipmentAdvised) -> tuple[Code, str] | None:
    if not event.data.lines and not event.data.cancelled:
        return Code.INVALID, "an advice without lines announces nothing"
    return _objection_to_times(event, [event.data.expected]) or _objection_to_lines(event)


def _objection_to_shipped(event: warehouse.TransferShipped) -> tuple[Code, str] | None:
    if event.data.origin == event.data.destination:
        return _NOWHERE
    return _objection_to_times(event, [event.data.expected]) or _objection_to_lines(event)


def _objection_to_arrived(event: warehouse.TransferReceived) -> tuple[Code, str] | None:
    if event.data.origin == event.data.destination:
        return _NOWHERE
    if not event.data.final and any(line.quantity == 0 for line in event.data.lines):
        return Code.INVALID, "only a final receipt may say that nothing came"
    return _objection_to_lines(event)


def _objection_to_count(event: warehouse.StockCounted) -> tuple[Code, str] | None:
    count = event.data
    if not count.lines and not count.complete and count.area is None:
        return Code.INVALID, "a count without lines counts nothing"
    times = [line.counted_at for line in count.lines]
    if found := _objection_to_times(event, [*times, count.started]):
        return found
    taken = [time for time in [*times, count.started] if time is not None]
    if any(time.tzinfo and event.time.tzinfo and time > event.time for time in taken):
        return Code.INVALID, "started or counted_at is after time"
    return _objection_to_lines(event)


def _objection_to_times(event: Event, times: list[datetime | None]) -> tuple[Code, str] | None:
    if any(time and not EARLIEST_YEAR <= time.year < LATEST_YEAR for time in times):
        return _NO_SUCH_TIME
    return None


def _objection_to_disposition(event: returns.ReturnDisposed) -> tuple[Code, str] | None:
    disposed = event.data
    if any((line.disposition or disposed.disposition) is None for line in disposed.lines):
        return Code.INVALID, "a line has no disposition, and neither has the event"
    return _objection_to_lines(event)


def _objection_to_local(event: Event) -> tuple[Code, str] | None:
    return (Code.INVALID, "time has no offset") if event.time.tzinfo is None else None


def _objection_to_request(event: orders.ReservationRequested) -> tuple[Code, str] | None:
    return _objection_to_local(event) or _objection_to_lines(event)


_CHECKS: Final[dict[type, Callable[[Any], tuple[Code, str] | None]]] = {
    **{
        kind: _objection_to_lines
        for topic in topics.SOURCE_TOPICS
        for kind in events.BY_TOPIC[topic]
    },
    **dict.fromkeys(events.BY_TOPIC[topics.ORDERS_RESERVATIONS], _objection_to_local),
    pos.SaleVoided: _objection_to_void,
    warehouse.ReceiptReceived: _objection_to_receipt,
    warehouse.ShipmentAdvised: _objection_to_advice,
    warehouse.TransferShipped: _objection_to_shipped,
    warehouse.TransferReceived: _objection_to_arrived,
    warehouse.StockCounted: _objection_to_count,
    returns.ReturnDisposed: _objection_to_disposition,
    orders.ReservationRequested: _objection_to_request,
    service.HeartbeatSent: _objection_to_local,
    service.EpochOpened: _objection_to_local,
    service.ReferenceMoved: _objection_to_local,
}


Bad = tuple[int, int | None, str]
"""A refused line: its place in the event, its number if it has one of its own, the flaw."""


def _sort_out(lines: list[Any], line_type: type) -> tuple[list[Any], list[Bad]]:
    """The good lines, and the bad ones. Of lines with one number the first may be good.

    A refused line without a number of its own cannot be told apart in a resend: it is
    not left open.
    """
    good: list[Any] = []
    bad: list[Bad] = []
    taken: set[int] = set()
    for place, line in enumerate(lines, start=1):
        number = line.get("line") if isinstance(line, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_LINE:
            bad.append((place, None, "no line number"))
            continue
        if number in taken:
            bad.append((place, None, f"line {number} stands twice"))
            continue
        taken.add(number)
        flaw = _flaw(line, line_type)
        if flaw is None:
            good.append(line)
        else:
            bad.append((place, number, flaw))
    return good, bad


def _flaw(line: object, line_type: type) -> str | None:
    try:
        msgspec.convert(line, line_type)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _refused(code: Code, reason: str, index: int, original: bytes) -> Decoded:
    return Decoded(index, original, None, (Rejected(code, reason, index, original),))
