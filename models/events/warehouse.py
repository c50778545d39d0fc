"""What warehouses, handhelds and ERPs say: receipts, advices, transfers, counts, books."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from models.events.fields import (
    MAX_LINES,
    Bucket,
    Condition,
    Event,
    LineNumber,
    Local,
    Location,
    Name,
    NotNegative,
    Number,
    Positive,
    Signed,
    Sku,
    Uom,
)


class ReceiptLine(Struct, omit_defaults=True, gc=False):
    """Zero units say, in a final receipt, that none of an advised SKU came."""

    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: Uom = None
    condition: Condition = "sellable"


class AdvisedLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: Uom = None


class ShippedLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: Uom = None
    bucket: Bucket = "on_hand"


class ArrivedLine(Struct, omit_defaults=True, gc=False):
    """Zero units say, in a final receipt, that none of the line came."""

    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: Uom = None
    condition: Condition = "sellable"


class AdjustmentLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Signed
    uom: Uom = None
    bucket: Bucket = "on_hand"


class SafetyStockLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: Uom = None


class CountLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: NotNegative
    uom: Uom = None
    bucket: Literal["on_hand"] = "on_hand"
    counted_at: Local | None = None


class BookLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Signed
    uom: Uom = None


class Receipt(Struct, omit_defaults=True, gc=False):
    """`final`: nothing more will come for these lines of `advice`."""

    receipt: Name
    location: Location
    lines: Annotated[list[ReceiptLine], Meta(min_length=1, max_length=MAX_LINES)]
    advice: Name | None = None
    final: bool = False


class Advice(Struct, omit_defaults=True, gc=False):
    """What is announced for `expected`. Absolute: a revision replaces all lines."""

    advice: Name
    location: Location
    expected: Local | None = None
    lines: Annotated[list[AdvisedLine], Meta(max_length=MAX_LINES)] = field(default_factory=list)
    cancelled: bool = False


class Shipped(Struct, omit_defaults=True, gc=False):
    """Goods have left `origin` for `destination`."""

    transfer: Name
    origin: Location = field(name="from")
    destination: Location = field(name="to")
    lines: Annotated[list[ShippedLine], Meta(min_length=1, max_length=MAX_LINES)]
    expected: Local | None = None


class Arrived(Struct, omit_defaults=True, gc=False):
    """Goods have come to `destination`; elsewhere than they were sent to, they were diverted."""

    transfer: Name
    origin: Location = field(name="from")
    destination: Location = field(name="to")
    lines: Annotated[list[ArrivedLine], Meta(min_length=1, max_length=MAX_LINES)]
    final: bool = False


class Adjustment(Struct, omit_defaults=True, gc=False):
    """Signed changes; one that names a `count` is in that count already, and only recorded."""

    location: Location
    reason: Name
    lines: Annotated[list[AdjustmentLine], Meta(min_length=1, max_length=MAX_LINES)]
    count: Name | None = None


class SafetyStock(Struct, omit_defaults=True, gc=False):
    location: Location
    lines: Annotated[list[SafetyStockLine], Meta(min_length=1, max_length=MAX_LINES)]


class Count(Struct, omit_defaults=True, gc=False):
    """What was found between `started` and the event's time.

    Areas of one count add up when it is `final`. `complete`: a SKU of the location that
    no line of the count names was not there. Scope `shelf` leaves out picked units.
    """

    count: Name
    location: Location
    lines: Annotated[list[CountLine], Meta(max_length=MAX_LINES)]
    scope: Literal["shelf", "all"] = "all"
    started: Local | None = None
    final: bool = True
    area: Name | None = None
    complete: bool = False


class Book(Struct, omit_defaults=True, gc=False):
    """An ERP's book, that has read each source of `through` up to a sequence."""

    location: Location
    through: dict[Name, Number]
    lines: Annotated[list[BookLine], Meta(min_length=1, max_length=MAX_LINES)]
    mode: Literal["compare", "adopt"] = "compare"


class ReceiptReceived(Event, tag="warehouse.receipt.received.v1", gc=False):
    data: Receipt


class ShipmentAdvised(Event, tag="warehouse.shipment.advised.v1", gc=False):
    data: Advice


class TransferShipped(Event, tag="warehouse.transfer.shipped.v1", gc=False):
    data: Shipped


class TransferReceived(Event, tag="warehouse.transfer.received.v1", gc=False):
    data: Arrived


class StockAdjusted(Event, tag="warehouse.stock.adjusted.v1", gc=False):
    data: Adjustment


class SafetyStockSet(Event, tag="warehouse.safety_stock.set.v1", gc=False):
    data: SafetyStock


class StockCounted(Event, tag="warehouse.stock.counted.v1", gc=False):
    data: Count


class SnapshotTaken(Event, tag="inventory.snapshot.taken.v1", gc=False):
    data: Book
