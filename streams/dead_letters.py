"""Dead letters: what could not be taken, byte for byte, with the reason and the place."""

import logging
from typing import Final

import msgspec
from msgspec import Struct

from models import topics
from models.movements import AnyMovement, cause_of
from models.movements import encode as encode_movement
from models.outcomes import Code
from runtime.batches import Headers
from runtime.records import Fetched
from streams.engine.stage import Work
from streams.routing import Routing

log = logging.getLogger(__name__)

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""The largest value that is decoded; only a compressing producer can send a larger one."""

_KEPT: Final = 1024 * 1024


def bury_if_too_large(work: Work, routing: Routing, record: Fetched) -> bool:
    """Whether `record` was larger than is decoded; its first MiB is then the dead letter."""
    value = record.value
    if value is None or len(value) <= MAX_RECORD_BYTES:
        return False
    reason = f"{len(value)} bytes are more than {MAX_RECORD_BYTES}; the first {_KEPT} are kept"
    bury(work, routing, record, Code.TOO_LARGE, reason, 0, value[:_KEPT])
    return True


def bury(
    work: Work,
    routing: Routing,
    record: Fetched,
    code: Code,
    reason: str,
    index: int,
    original: bytes,
) -> None:
    """Send `original`, element `index` of `record`, to the dead letters.

    After a crash the same letter may come twice, with the same place.
    """
    place = (work.topic, work.partition.number, record.offset, index)
    trace = _trace_of(original)
    headers = [*_headers(code, reason, place), *_trace_headers(trace)]
    work.emit(routing.dead_letters[work.partition.number], record.key, original, headers)
    _tell(code, reason, place, trace.correlationid)


def bury_movement(
    work: Work, routing: Routing, record: Fetched, movement: AnyMovement, code: Code, reason: str
) -> None:
    """Say that a movement could not be applied, or only with a doubt.

    The letter names the place of the source's own record, whose bytes intake had taken.
    """
    topic = topics.NUMBERED[movement.topic]
    place = (topic, movement.partition, cause_of(movement.ordinal), movement.line)
    note = movement.note
    trace = _Trace()
    if note is not None:
        trace = _Trace(note.correlationid, note.causationid, note.traceparent)
    sku = ("onhand-sku", movement.sku.encode())
    headers = [*_headers(code, reason, place), sku, *_trace_headers(trace)]
    key = movement.source.encode()
    work.emit(routing.dead_letters[work.partition.number], key, encode_movement(movement), headers)
    _tell(code, reason, place, trace.correlationid)


class _Trace(Struct):
    """What ties an event to what caused it."""

    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


_decode_trace = msgspec.json.Decoder(_Trace).decode


def _trace_of(original: bytes) -> _Trace:
    """The trace of an event that may be broken in any way."""
    try:
        return _decode_trace(original)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Trace()


def _trace_headers(trace: _Trace) -> Headers:
    told = ((name, getattr(trace, name)) for name in trace.__struct_fields__)
    return [
        (f"onhand-{name}", value[:256].encode("utf-8", "replace")) for name, value in told if value
    ]


def _tell(
    code: Code, reason: str, place: tuple[str, int, int, int], correlation: str | None
) -> None:
    log.info("dead letter %s: %s (%s/%s/%s/%s, correlation %s)", code, reason, *place, correlation)


def _headers(code: Code, reason: str, place: tuple[str, int, int, int]) -> Headers:
    topic, partition, offset, index = place
    return [
        ("onhand-code", code.encode()),
        ("onhand-reason", reason.encode("utf-8", "replace")[:1024]),
        ("onhand-topic", topic.encode()),
        ("onhand-partition", str(partition).encode()),
        ("onhand-offset", str(offset).encode()),
        ("onhand-index", str(index).encode()),
    ]
