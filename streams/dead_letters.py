"""Dead letters: what could not be taken, byte for byte, with the reason and the place."""

from models.outcomes import Code
from streams.engine.stage import Raw, Work
from streams.routing import Routing


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
