"""Records that the service writes to `orders.reservations` itself: decisions and ticks."""

import msgspec

from models import topics
from models.events.service import Decision, HoldDecided, Origin, Tick
from models.instants import Instant, to_datetime
from models.movements import Hold, ordinal
from models.outcomes import Outcome
from streams.engine.stage import Work
from streams.routing import Routing

SERVICE = "onhand"
TICK_KEY = b"onhand.tick"


def send_decision(work: Work, routing: Routing, hold: Hold, outcome: Outcome) -> None:
    """Tell the reservation's owner what became of one line."""
    place = ordinal(work.offset, work.index)
    work.index += 1
    origin = Origin(topics.NUMBER[topics.INVENTORY_MOVEMENTS], work.partition.number, place)
    decided = HoldDecided(
        specversion="1.0",
        id=f"{work.partition.number}-{place}",
        source=SERVICE,
        time=to_datetime(work.now),
        data=Decision(hold.source, hold.line, outcome.value),
        origin=origin,
    )
    if hold.note is not None:
        decided.correlationid = hold.note.correlationid
        decided.causationid = hold.note.causationid
        decided.traceparent = hold.note.traceparent
    key, destination = routing.of(hold.source)
    work.emit(routing.reservations[destination], key, msgspec.json.encode(decided))


def tick(now: Instant) -> bytes:
    """A record that says only that time has passed."""
    moment = to_datetime(now)
    return msgspec.json.encode(
        Tick(specversion="1.0", id=f"tick-{now}", source=SERVICE, time=moment)
    )
