"""Events by short names, for tests that read like the case they are about."""

import itertools
import json
from typing import Any

from msgspec import Raw

_ids = itertools.count(1)

DAY = "2026-11-02"


def moment(text: str, day: str = DAY) -> str:
    """`09:00` or `09:00:01` of the day, in UTC, as RFC 3339."""
    return text if "T" in text else f"{day}T{text}{':00' if text.count(':') == 1 else ''}Z"


def nested(*changes: tuple[int, int, str, int, int]) -> Raw:
    """Changes of on_hand as rows had them once, each within the next."""
    kept: list[Any] | None = None
    for change in changes:
        kept = [*change, kept]
    return Raw(json.dumps(kept, separators=(",", ":")).encode())


def event(
    kind: str, source: str, sequence: int | None, at: str, data: dict[str, Any], **more: Any
) -> dict[str, Any]:
    made = {
        "specversion": "1.0",
        "id": f"id-{next(_ids)}",
        "source": source,
        "type": kind,
        "time": moment(at),
        **more,
        "data": data,
    }
    if sequence is not None:
        made["sequence"] = sequence
    return made


def sale(
    source: str,
    sequence: int,
    at: str,
    quantity: int = 1,
    *,
    sku: str = "S",
    location: str = "17",
    transaction: str | None = None,
    **more: Any,
) -> dict[str, Any]:
    data = {
        "transaction": transaction or f"T{sequence}",
        "location": location,
        "lines": [{"line": 1, "sku": sku, "quantity": quantity}],
    }
    return event("pos.sale.completed.v1", source, sequence, at, data, **more)


def voided(
    source: str,
    sequence: int,
    at: str,
    transaction: str,
    *lines: dict[str, int],
    location: str = "17",
    **said: Any,
) -> dict[str, Any]:
    """Without lines, the whole transaction."""
    data = {"transaction": transaction, "location": location, **said}
    if lines:
        data["lines"] = list(lines)
    return event("pos.sale.voided.v1", source, sequence, at, data)


def control(what: str, source: str, at: str, **data: Any) -> dict[str, Any]:
    """epoch.opened or heartbeat; in the topic of sales."""
    return event(f"source.{what}.v1", source, None, at, data)


def receipt(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    *,
    sku: str = "S",
    location: str = "17",
    condition: str = "sellable",
    uom: str | None = None,
    **said: Any,
) -> dict[str, Any]:
    line: dict[str, Any] = {"line": 1, "sku": sku, "quantity": quantity, "condition": condition}
    if uom is not None:
        line["uom"] = uom
    data = {"receipt": f"{source}-{sequence}", "location": location, "lines": [line], **said}
    return event("warehouse.receipt.received.v1", source, sequence, at, data)


def advised(
    source: str,
    sequence: int,
    at: str,
    advice: str,
    *lines: tuple[str, int],
    expected: str | None = None,
    location: str = "17",
    **said: Any,
) -> dict[str, Any]:
    told = [
        {"line": number, "sku": sku, "quantity": quantity}
        for number, (sku, quantity) in enumerate(lines, start=1)
    ]
    data = {"advice": advice, "location": location, "lines": told, **said}
    if expected is not None:
        data["expected"] = expected
    return event("warehouse.shipment.advised.v1", source, sequence, at, data)


def transfer(
    what: str,
    source: str,
    sequence: int,
    at: str,
    transfer: str,
    quantity: int,
    *,
    origin: str,
    to: str,
    sku: str = "S",
    **said: Any,
) -> dict[str, Any]:
    """shipped or received; one line."""
    line = {"line": 1, "sku": sku, "quantity": quantity}
    data = {"transfer": transfer, "from": origin, "to": to, "lines": [line], **said}
    return event(f"warehouse.transfer.{what}.v1", source, sequence, at, data)


def snapshot(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    through: dict[str, int],
    mode: str,
    *,
    sku: str = "S",
    location: str = "17",
) -> dict[str, Any]:
    lines = [{"line": 1, "sku": sku, "quantity": quantity}]
    data = {"location": location, "through": through, "mode": mode, "lines": lines}
    return event("inventory.snapshot.taken.v1", source, sequence, at, data)


def adjusted(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    *,
    sku: str = "S",
    location: str = "17",
    **data: Any,
) -> dict[str, Any]:
    line = {"line": 1, "sku": sku, "quantity": quantity}
    said = {"location": location, "reason": "shrink", "lines": [line], **data}
    return event("warehouse.stock.adjusted.v1", source, sequence, at, said)


def safety_stock(
    source: str, sequence: int, at: str, quantity: int, *, sku: str = "S", location: str = "17"
) -> dict[str, Any]:
    lines = [{"line": 1, "sku": sku, "quantity": quantity}]
    data = {"location": location, "lines": lines}
    return event("warehouse.safety_stock.set.v1", source, sequence, at, data)


def count(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    *,
    sku: str = "S",
    location: str = "17",
    started: str | None = None,
    **said: Any,
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "count": f"{source}-{sequence}",
        "location": location,
        "lines": [{"line": 1, "sku": sku, "quantity": quantity}],
        **said,
    }
    if started is not None:
        data["started"] = moment(started)
    return event("warehouse.stock.counted.v1", source, sequence, at, data)


def returned(
    stage: str,
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    *,
    rma: str = "R1",
    sku: str = "S",
    location: str = "17",
    **line: Any,
) -> dict[str, Any]:
    """authorized, shipped, received, inspected, refunded or credited."""
    told = {"line": 1, "sku": sku, "quantity": quantity, **line}
    data = {"rma": rma, "location": location, "lines": [told]}
    return event(f"returns.return.{stage}.v1", source, sequence, at, data)


def disposed(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    disposition: str,
    *,
    rma: str = "R1",
    sku: str = "S",
    location: str = "17",
) -> dict[str, Any]:
    line = {"line": 1, "sku": sku, "quantity": quantity}
    data = {"rma": rma, "location": location, "disposition": disposition, "lines": [line]}
    return event("returns.return.disposed.v1", source, sequence, at, data)


def requested(
    reservation: str, at: str, *lines: tuple[str, int], location: str = "17", **data: Any
) -> dict[str, Any]:
    asked = [
        {"line": number, "sku": sku, "quantity": quantity, "location": location}
        for number, (sku, quantity) in enumerate(lines, start=1)
    ]
    said = {"reservation": reservation, "ttl_seconds": 86_400, **data, "lines": asked}
    return event("orders.reservation.requested.v1", "oms", None, at, said)


def order(what: str, reservation: str, at: str, **data: Any) -> dict[str, Any]:
    """confirmed, released or fulfilled."""
    said = {"reservation": reservation, **data}
    return event(f"orders.reservation.{what}.v1", "oms", None, at, said)


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()
