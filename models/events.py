"""Events and commands as they stand on the wire: CloudEvents 1.0, structured JSON.

Strict about meaning, tolerant of extra fields: an unknown field is ignored, a known one
must have its type and bounds. Quantities are whole base units (goods by weight: grams).
"""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from models import topics

MAX_QUANTITY: Final = 10**9
MAX_LINES: Final = 10_000
MAX_RESERVATION_LINES: Final = 200

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Sku = Annotated[str, Meta(min_length=1, max_length=128)]
Location = Annotated[str, Meta(min_length=1, max_length=128)]
LineNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[int, Meta(gt=0, le=MAX_QUANTITY)]
NotNegative = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Signed = Annotated[int, Meta(ge=-MAX_QUANTITY, le=MAX_QUANTITY)]
Sequence = (
    Annotated[int, Meta(ge=0, le=2**53)] | Annotated[str, Meta(pattern=r"^[0-9]{1,15}$")] | None
)
Epoch = Annotated[int, Meta(ge=0, le=2**31)]
Moment = Annotated[datetime, Meta(tz=True)]
BaseUnit = Literal["each"] | None
Condition = Literal["sellable", "quality_control", "damaged"]
Bucket = Literal["on_hand", "quality_control", "damaged"]


class ReservationLine(Struct, gc=False):
    """The line of a reservation that a sale line picks up."""

    reservation: Name
    line: LineNumber


class SaleLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: BaseUnit = None
    reservation: ReservationLine | None = None


class TillReturnLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: BaseUnit = None
    condition: Condition = "quality_control"


class ReceiptLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: BaseUnit = None
    condition: Condition = "sellable"


class AdjustmentLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Signed
    uom: BaseUnit = None
    bucket: Bucket = "on_hand"


class SafetyStockLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: BaseUnit = None


class CountLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: BaseUnit = None
    bucket: Literal["on_hand"] = "on_hand"
    counted_at: Moment | None = None


Disposal = Literal["restock", "write_off", "quarantine"]


class DispositionLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: BaseUnit = None
    actual_sku: Sku | None = None
    disposition: Disposal | None = None


class Sale(Struct, gc=False):
    transaction: Name
    location: Location
    lines: Annotated[list[SaleLine], Meta(min_length=1, max_length=MAX_LINES)]


class TillReturn(Struct, gc=False):
    transaction: Name
    location: Location
    lines: Annotated[list[TillReturnLine], Meta(min_length=1, max_length=MAX_LINES)]


class Receipt(Struct, gc=False):
    receipt: Name
    location: Location
    lines: Annotated[list[ReceiptLine], Meta(min_length=1, max_length=MAX_LINES)]
    advice: Name | None = None


class Adjustment(Struct, gc=False):
    location: Location
    reason: Name
    lines: Annotated[list[AdjustmentLine], Meta(min_length=1, max_length=MAX_LINES)]
    count: Name | None = None


class SafetyStock(Struct, gc=False):
    location: Location
    lines: Annotated[list[SafetyStockLine], Meta(min_length=1, max_length=MAX_LINES)]


class Count(Struct, gc=False):
    """A stock count. Areas, open counts and complete counts are not supported yet."""

    count: Name
    location: Location
    lines: Annotated[list[CountLine], Meta(min_length=1, max_length=MAX_LINES)]
    scope: Literal["shelf", "all"] = "all"
    started: Moment | None = None
    final: bool = True
    area: Name | None = None
    complete: bool = False


class Disposed(Struct, gc=False):
    rma: Name
    location: Location
    lines: Annotated[list[DispositionLine], Meta(min_length=1, max_length=MAX_LINES)]
    disposition: Disposal | None = None


class RequestedLine(Struct, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    location: Location


class Requested(Struct, gc=False):
    """`ttl_seconds` bounds and default are settings of the service."""

    reservation: Name
    lines: Annotated[list[RequestedLine], Meta(min_length=1, max_length=MAX_RESERVATION_LINES)]
    order: Name | None = None
    channel: Name | None = None
    policy: Literal["all"] = "all"
    ttl_seconds: Annotated[int, Meta(gt=0, le=31_536_000)] | None = None


class Reservation(Struct, gc=False):
    """What confirm, release and fulfil say of a reservation: all of its lines."""

    reservation: Name
    reason: Name | None = None


class Decision(Struct, gc=False):
    reservation: Name
    line: LineNumber
    outcome: str


class Rule(Struct, gc=False):
    channel: Name
    share: Annotated[int, Meta(ge=0, le=100)]
    buffer: NotNegative
    locations: list[Location] | None
    rank: int


class Origin(Struct, array_like=True, gc=False):
    """Where the service emitted a record from: stage's topic, its partition, ordinal."""

    topic: int
    partition: int
    ordinal: int


class Event(Struct, kw_only=True, tag_field="type", gc=False):
    """The envelope. `time` is when it happened, with an offset; `sentat` the device's clock."""

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Moment
    sequence: Sequence = None
    epoch: Epoch = 0
    sentat: Moment | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


class SaleCompleted(Event, tag="pos.sale.completed.v1", gc=False):
    data: Sale


class SaleReturned(Event, tag="pos.sale.returned.v1", gc=False):
    data: TillReturn


class ReceiptReceived(Event, tag="warehouse.receipt.received.v1", gc=False):
    data: Receipt


class StockAdjusted(Event, tag="warehouse.stock.adjusted.v1", gc=False):
    data: Adjustment


class SafetyStockSet(Event, tag="warehouse.safety_stock.set.v1", gc=False):
    data: SafetyStock


class StockCounted(Event, tag="warehouse.stock.counted.v1", gc=False):
    data: Count


class ReturnDisposed(Event, tag="returns.return.disposed.v1", gc=False):
    data: Disposed


class ReservationRequested(Event, tag="orders.reservation.requested.v1", gc=False):
    data: Requested


class ReservationConfirmed(Event, tag="orders.reservation.confirmed.v1", gc=False):
    data: Reservation


class ReservationReleased(Event, tag="orders.reservation.released.v1", gc=False):
    data: Reservation


class ReservationFulfilled(Event, tag="orders.reservation.fulfilled.v1", gc=False):
    data: Reservation


class Tick(Event, tag="onhand.tick.v1", gc=False):
    """Time passing, as a record of the log: expiry happens at its place, on its timestamp."""


class HoldDecided(Event, tag="onhand.decision.v1", gc=False):
    data: Decision
    origin: Origin


class ChannelRuleSet(Event, tag="onhand.channel.v1", gc=False):
    data: Rule


PosEvent = SaleCompleted | SaleReturned
WarehouseEvent = ReceiptReceived | StockAdjusted | SafetyStockSet | StockCounted
ReturnsEvent = ReturnDisposed
OrdersEvent = (
    ReservationRequested | ReservationConfirmed | ReservationReleased | ReservationFulfilled
)
ServiceEvent = Tick | HoldDecided | ChannelRuleSet
SourceEvent = PosEvent | WarehouseEvent | ReturnsEvent
AnyEvent = SourceEvent | OrdersEvent | ServiceEvent

SERVICE_PREFIX: Final = "onhand."

TOPIC_OF_TYPE: Final[dict[str, str]] = {
    "pos.sale.completed.v1": topics.POS_SALES,
    "pos.sale.voided.v1": topics.POS_SALES,
    "pos.sale.returned.v1": topics.POS_SALES,
    "warehouse.receipt.received.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.shipment.advised.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.transfer.shipped.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.transfer.received.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.stock.adjusted.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.safety_stock.set.v1": topics.WAREHOUSE_RECEIPTS,
    "warehouse.stock.counted.v1": topics.WAREHOUSE_RECEIPTS,
    "inventory.snapshot.taken.v1": topics.WAREHOUSE_RECEIPTS,
    "returns.return.authorized.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.shipped.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.received.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.inspected.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.disposed.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.refunded.v1": topics.RETURNS_DISPOSITIONS,
    "returns.return.credited.v1": topics.RETURNS_DISPOSITIONS,
    "orders.reservation.requested.v1": topics.ORDERS_RESERVATIONS,
    "orders.reservation.confirmed.v1": topics.ORDERS_RESERVATIONS,
    "orders.reservation.released.v1": topics.ORDERS_RESERVATIONS,
    "orders.reservation.picked.v1": topics.ORDERS_RESERVATIONS,
    "orders.reservation.fulfilled.v1": topics.ORDERS_RESERVATIONS,
    "onhand.tick.v1": topics.ORDERS_RESERVATIONS,
    "onhand.decision.v1": topics.ORDERS_RESERVATIONS,
    "onhand.channel.v1": topics.ORDERS_RESERVATIONS,
}
TYPES_OF_ANY_TOPIC: Final = frozenset({"source.heartbeat.v1", "source.epoch.opened.v1"})
