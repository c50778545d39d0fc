"""Orders: commands, decisions and ticks of reservations, settled by one owner each."""

import heapq
import logging
from typing import Final

from models import movements, orders, topics
from models.decoding import Decoder
from models.events import MAX_RESERVATION_LINES, AnyEvent, service
from models.events import orders as commands
from models.instants import SECOND, Instant, from_datetime
from models.movements import MAX_INDEX, ChannelRuleSet, Note, ordinal
from models.orders import OrderRow, Settled, order_key
from models.outcomes import Code, Outcome
from models.rows import version
from runtime.records import Fetch, Fetched
from streams.dead_letters import bury, bury_if_too_large
from streams.decisions import SERVICE, TICK_KEY
from streams.engine.partition import Partition
from streams.engine.stage import Work
from streams.packing import Packing
from streams.routing import Routing
from streams.settings import Settings

log = logging.getLogger(__name__)

EXPIRIES: Final = 500
"""Reservations that one step lets lapse at most; the cursor remembers how many it did."""

_INPUT: Final = topics.ORDERS_RESERVATIONS
_TOPIC: Final = topics.NUMBER[_INPUT]
_ASK: Final[
    dict[str, type[movements.Hold | movements.Release | movements.Pick | movements.Fulfil]]
] = {
    "hold": movements.Hold,
    "release": movements.Release,
    "pick": movements.Pick,
    "fulfil": movements.Fulfil,
}


class Orders:
    """The stage that owns every reservation of its partitions."""

    name = "orders"
    inputs: tuple[str, ...] = (_INPUT,)
    state = topics.ORDERS_STATE
    state_may_wait = False

    def __init__(self, routing: Routing, settings: Settings, *, trust_origins: bool = True) -> None:
        self._routing = routing
        self._settings = settings
        self._trust_origins = trust_origins
        self._decoder = Decoder(_INPUT)
        self._packing = Packing(routing)
        self._deadlines: dict[int, list[tuple[Instant, str]]] = {}
        self.origins_skipped = 0

    def opened(self, partition: Partition) -> None:
        """Derive the open deadlines."""
        heap = []
        for key in list(partition.encoded):
            row = partition.get(key, OrderRow)
            if row is not None and row.lapses() and row.lines:
                heap.append((row.deadline, row.reservation))
        heapq.heapify(heap)
        self._deadlines[partition.number] = heap
        partition.keep_documents(_INPUT, {"order": OrderRow}, self._routing.document_days)

    def closed(self, number: int) -> None:
        """Forget the deadlines, and what the unfinished step would have sent."""
        self._packing.drop()
        self._deadlines.pop(number, None)

    def finish(self, work: Work) -> None:
        """Send the step's movements."""
        self._packing.flush(work)

    def partitions_due(self, now: Instant) -> list[int]:
        """Partitions where a deadline has passed, or will within two seconds of `now`."""
        soon = now + 2 * SECOND
        return sorted(
            number for number, heap in self._deadlines.items() if heap and heap[0][0] <= soon
        )

    def absorb_run(self, work: Work, records: Fetch, start: int) -> int:
        """Nothing is taken but record by record."""
        return 0

    def absorb(self, work: Work, record: Fetched) -> bool:
        """Take one record: a command, or the service's own decision, tick or rule."""
        if bury_if_too_large(work, self._routing, record):
            return True
        work.weigh(record.value or b"")
        for element in self._decoder.elements(record.value):
            for code, reason, index, original in element.rejected:
                bury(work, self._routing, record, code, reason, index, original)
            if isinstance(element.event, service.Tick):
                if record.key == TICK_KEY:
                    return self._expire_due(work, record)
                reason = "only the service itself lets time pass"
                place, original = element.place, element.original
                bury(work, self._routing, record, Code.RESERVED_TYPE, reason, place, original)
            elif element.event is not None:
                self._take(work, record, element.event, element.place, element.original)
        return True

    def _take(
        self, work: Work, record: Fetched, event: AnyEvent, index: int, original: bytes
    ) -> None:
        if isinstance(event, service.ChannelRuleSet):
            self._broadcast(work, event)
            return
        reservation = event.data.reservation  # type: ignore[union-attr]
        if record.key != self._routing.of(reservation)[0]:
            reason = "the record's key is not the event's reservation"
            bury(work, self._routing, record, Code.MISROUTED, reason, index, original)
            return
        if isinstance(event, service.HoldDecided):
            if not self._is_ours(event):
                reason = "only the service itself decides"
                bury(work, self._routing, record, Code.RESERVED_TYPE, reason, index, original)
                return
            origin = event.origin
            new = work.partition.position.absorb_origin(
                origin.topic, origin.partition, origin.ordinal
            )
            if not new and self._trust_origins:
                self.origins_skipped += 1
                return
        row_version = version(work.partition.position.generation, record.offset)
        known = work.partition.get(order_key(reservation), OrderRow)
        row = (
            orders.copy_of(known, row_version)
            if known is not None
            else orders.blank(reservation, row_version)
        )
        if isinstance(event, service.HoldDecided):
            before = row.status
            settled = orders.decide(row, event.data.line, event.data.outcome)
            if row.status != before:
                orders.tell(row, "decision", settled.outcome, work.now)
        else:
            self._expire_if_due(work, row)
            settled = self._command(row, event, work.now)
            command = event.__struct_config__.tag
            orders.tell(row, str(command), settled.outcome, work.now)
        self._settle(work, settled, _note_of(event))
        self._bury_refusal(work, record, settled.outcome, index, original)

    def _is_ours(self, event: service.HoldDecided) -> bool:
        origin = event.origin
        return (
            event.source == SERVICE
            and origin.topic == topics.NUMBER[topics.INVENTORY_MOVEMENTS]
            and 0 <= origin.partition < self._routing.partitions
            and event.data.outcome in (orders.HELD, orders.INSUFFICIENT)
        )

    def _command(self, row: OrderRow, event: AnyEvent, now: Instant) -> Settled:
        match event:
            case commands.ReservationRequested():
                asked = event.data.ttl_seconds or self._settings.default_ttl_seconds
                ttl = min(asked, self._settings.max_ttl_seconds)
                return orders.request(row, event.data, now, ttl)
            case commands.ReservationConfirmed():
                return orders.confirm(row)
            case commands.ReservationReleased():
                return orders.release(row)
            case commands.ReservationPicked():
                return orders.pick(row)
            case commands.ReservationFulfilled():
                return orders.fulfil(row)
        raise TypeError(f"no command: {type(event).__name__}")

    def _bury_refusal(
        self, work: Work, record: Fetched, outcome: Outcome, index: int, original: bytes
    ) -> None:
        if outcome is Outcome.CONFLICT:
            reason = "the reservation was requested with other content; the first stands"
            bury(work, self._routing, record, Code.CONFLICT, reason, index, original)
        elif outcome is Outcome.UNKNOWN_RESERVATION:
            reason = "no such reservation was requested"
            bury(work, self._routing, record, Code.UNKNOWN_RESERVATION, reason, index, original)

    def _settle(self, work: Work, settled: Settled, note: Note | None = None) -> None:
        row = settled.row
        work.partition.put(order_key(row.reservation), row)
        if row.lapses() and row.lines:
            heap = self._deadlines[work.partition.number]
            heapq.heappush(heap, (row.deadline, row.reservation))
        for command in settled.commands:
            line = command.line
            self._packing.add(
                _ASK[command.action](
                    line.sku,
                    line.location,
                    _TOPIC,
                    work.partition.number,
                    self._place(work),
                    row.reservation,
                    0,
                    0,
                    line.line,
                    work.now,
                    "in_order",
                    note,
                    line.quantity,
                ),
            )

    def _place(self, work: Work) -> int:
        place = ordinal(work.offset, work.index)
        work.index += 1
        return place

    def _broadcast(self, work: Work, event: service.ChannelRuleSet) -> None:
        rule = event.data
        for destination in range(self._routing.partitions):
            movement = ChannelRuleSet(
                "",
                "",
                _TOPIC,
                work.partition.number,
                self._place(work),
                event.source,
                0,
                0,
                0,
                from_datetime(event.time),
                "in_order",
                None,
                rule.channel,
                rule.share,
                rule.buffer,
                rule.locations,
                rule.rank,
            )
            self._packing.send_alone(work, destination, movement)

    # -- deadlines

    def _expire_if_due(self, work: Work, row: OrderRow) -> None:
        if row.lines and row.lapses() and row.deadline <= work.now:
            settled = orders.expire(row)
            orders.tell(row, "deadline", settled.outcome, work.now)
            self._settle(work, settled)

    def _expire_due(self, work: Work, record: Fetched) -> bool:
        """Let lapse what is due at a tick; False where there is more of it."""
        cursor = work.partition.position.cursor
        work.index = cursor.get(_INPUT, 0)
        heap = self._deadlines[work.partition.number]
        for _ in range(EXPIRIES):
            full = work.index + MAX_RESERVATION_LINES > MAX_INDEX
            if not heap or heap[0][0] > work.now or full:
                cursor.pop(_INPUT, None)
                return True
            _, reservation = heapq.heappop(heap)
            known = work.partition.get(order_key(reservation), OrderRow)
            if known is not None:
                row_version = version(work.partition.position.generation, record.offset)
                self._expire_if_due(work, orders.copy_of(known, row_version))
        cursor[_INPUT] = work.index
        return False


def _note_of(event: AnyEvent) -> Note | None:
    if not (event.correlationid or event.causationid or event.traceparent):
        return None
    return Note(
        event.id,
        correlationid=event.correlationid,
        causationid=event.causationid,
        traceparent=event.traceparent,
    )
