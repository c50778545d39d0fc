"""Dead letters: what could not be taken, byte for byte, with the reason and the place."""

from typing import Final

from models.outcomes import Code
from streams.engine.stage import Raw, Work
from streams.routing import Routing

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024
"""The largest value that is decoded; only a compressing producer can send a larger one."""

_KEPT: Final = 1024 * 1024


def bury_if_too_large(work: Work, routing: Routing, record: Raw) -> bool:
    """Whether `record` was larger than is decoded; its first MiB is then the dead letter."""
    value = record.value
    if value is None or len(value) <= MAX_RECORD_BYTES:
        return False
    reason = f"{len(value)} bytes are more than {MAX_RECORD_BYTES}; the first {_KEPT} are kept"
    bury(work, routing, record, Code.TOO_LARGE, reason, 0, value[:_KEPT])
    return True


def bury(
    work: Work, routing: Routing, record: Raw, code: Code, reason: str, index: int, original: bytes
) -> None:
    """Send `original`, element `index` of `record`, to the dead letters.

    After a crash the same letter may come twice, with the same place.
    """
    headers = [
        ("onhand-code", code.encode()),
        ("onhand-reason", reason.encode("utf-8", "replace")[:1024]),
        ("onhand-topic", work.topic.encode()),
        ("onhand-partition", str(work.partition.number).encode()),
        ("onhand-offset", str(record.offset).encode()),
        ("onhand-index", str(index).encode()),
    ]
    work.emit(routing.dead_letters[work.partition.number], record.key, original, headers)
