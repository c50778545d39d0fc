"""Events and commands as they stand on the wire: CloudEvents 1.0, structured JSON.

Strict about meaning, tolerant of extra fields: an unknown field is ignored, a known one
must have its type and bounds. Quantities are whole base units (goods by weight: grams).
"""

from typing import Final

from models import topics
from models.events import orders, pos, returns, service, warehouse
from models.events.fields import MAX_LINES, MAX_QUANTITY, Event
from models.events.orders import MAX_RESERVATION_LINES

__all__ = [
    "BY_TOPIC",
    "MAX_LINES",
    "MAX_QUANTITY",
    "MAX_RESERVATION_LINES",
    "SERVICE_PREFIX",
    "TOPIC_OF_TYPE",
    "TYPES_OF_ANY_TOPIC",
    "AnyEvent",
    "Control",
    "Event",
    "OrdersEvent",
    "PosEvent",
    "ReturnsEvent",
    "ServiceEvent",
    "SourceEvent",
    "WarehouseEvent",
    "orders",
    "pos",
    "returns",
    "service",
    "type_of",
    "warehouse",
]

PosEvent = pos.SaleCompleted | pos.SaleVoided | pos.SaleReturned
WarehouseEvent = (
    warehouse.ReceiptReceived
    | warehouse.ShipmentAdvised
    | warehouse.TransferShipped
    | warehouse.TransferReceived
    | warehouse.StockAdjusted
    | warehouse.SafetyStockSet
    | warehouse.StockCounted
    | warehouse.SnapshotTaken
)
ReturnsEvent = (
    returns.ReturnAuthorized
    | returns.ReturnShipped
    | returns.ReturnReceived
    | returns.ReturnInspected
    | returns.ReturnDisposed
    | returns.ReturnRefunded
    | returns.ReturnCredited
)
OrdersEvent = (
    orders.ReservationRequested
    | orders.ReservationConfirmed
    | orders.ReservationReleased
    | orders.ReservationPicked
    | orders.ReservationFulfilled
)
Control = service.HeartbeatSent | service.EpochOpened | service.ReferenceMoved
"""What may stand in any topic of sources."""
ServiceEvent = service.Tick | service.HoldDecided | service.ChannelRuleSet
SourceEvent = PosEvent | WarehouseEvent | ReturnsEvent
AnyEvent = SourceEvent | OrdersEvent | ServiceEvent | Control

SERVICE_PREFIX: Final = "onhand."

BY_TOPIC: Final[dict[str, tuple[type[Event], ...]]] = {
    topics.POS_SALES: (pos.SaleCompleted, pos.SaleVoided, pos.SaleReturned),
    topics.WAREHOUSE_RECEIPTS: (
        warehouse.ReceiptReceived,
        warehouse.ShipmentAdvised,
        warehouse.TransferShipped,
        warehouse.TransferReceived,
        warehouse.StockAdjusted,
        warehouse.SafetyStockSet,
        warehouse.StockCounted,
        warehouse.SnapshotTaken,
    ),
    topics.RETURNS_DISPOSITIONS: (
        returns.ReturnAuthorized,
        returns.ReturnShipped,
        returns.ReturnReceived,
        returns.ReturnInspected,
        returns.ReturnDisposed,
        returns.ReturnRefunded,
        returns.ReturnCredited,
    ),
    topics.ORDERS_RESERVATIONS: (
        orders.ReservationRequested,
        orders.ReservationConfirmed,
        orders.ReservationReleased,
        orders.ReservationPicked,
        orders.ReservationFulfilled,
        service.Tick,
        service.HoldDecided,
        service.ChannelRuleSet,
    ),
}


def type_of(kind: type[Event]) -> str:
    """An event's `type` on the wire."""
    return str(kind.__struct_config__.tag)


TOPIC_OF_TYPE: Final[dict[str, str]] = {
    type_of(kind): topic for topic, kinds in BY_TOPIC.items() for kind in kinds
}
TYPES_OF_ANY_TOPIC: Final = frozenset(
    type_of(kind) for kind in (service.HeartbeatSent, service.EpochOpened, service.ReferenceMoved)
)
