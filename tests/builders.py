"""Events by short names, for tests that read like the case they are about."""

import itertools
import json
from typing import Any

_ids = itertools.count(1)

DAY = "2026-11-02"


def moment(text: str, day: str = DAY) -> str:
    """`09:00` or `09:00:01` of the day, in UTC, as RFC 3339."""
    return text if "T" in text else f"{day}T{text}{':00' if text.count(':') == 1 else ''}Z"


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


def receipt(
    source: str,
    sequence: int,
    at: str,
    quantity: int,
    *,
    sku: str = "S",
    location: str = "17",
    condition: str = "sellable",
) -> dict[str, Any]:
    line = {"line": 1, "sku": sku, "quantity": quantity, "condition": condition}
    data = {"receipt": f"{source}-{sequence}", "location": location, "lines": [line]}
    return event("warehouse.receipt.received.v1", source, sequence, at, data)


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
) -> dict[str, Any]:
    data: dict[str, Any] = {
        "count": f"{source}-{sequence}",
        "location": location,
        "lines": [{"line": 1, "sku": sku, "quantity": quantity}],
    }
    if started is not None:
        data["started"] = moment(started)
    return event("warehouse.stock.counted.v1", source, sequence, at, data)


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
