"""Does every bucket of every row add up? A plain sum, apart from the service.

`python check.py SENT URL` reads the file of what was sent, one JSON object a line, and
the rows over HTTP. It imports nothing of the service: only the standard library.
"""

import json
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUCKETS = (
    "on_hand",
    "reserved",
    "quality_control",
    "damaged",
    "in_transit",
    "incoming",
    "safety_stock",
)
PAGE = 1000

Data = dict[str, Any]
Row = dict[str, int]
Rows = dict[tuple[str, str], Row]
Order = tuple[list[Data], str]


def expected(path: Path) -> Rows:
    """Sum up what was sent."""
    rows: Rows = defaultdict(lambda: dict.fromkeys(BUCKETS, 0))
    seen: set[tuple[Any, ...]] = set()
    orders: dict[str, Order] = {}
    for text in path.read_text().splitlines():
        sent = json.loads(text)
        event, data = sent["event"], sent["event"]["data"]
        if event["type"].startswith("orders."):
            order(orders, event["type"].split(".")[2], data)
            continue
        identity = (sent["topic"], event["source"], event["sequence"])
        if identity in seen:
            continue
        seen.add(identity)
        for line in data["lines"]:
            add(rows[line["sku"], data["location"]], event["type"], data, line)
    for lines, fate in orders.values():
        for line in lines:
            row = rows[line["sku"], line["location"]]
            if fate == "fulfilled":
                row["on_hand"] -= line["quantity"]
            elif fate != "released":
                row["reserved"] += line["quantity"]
    return rows


def order(orders: dict[str, Order], what: str, data: Data) -> None:
    """What one command does: released and fulfilled are final."""
    name = data["reservation"]
    if what == "requested":
        orders.setdefault(name, (data["lines"], "held"))
    elif orders[name][1] not in ("released", "fulfilled"):
        orders[name] = (orders[name][0], what)


def add(row: Row, kind: str, data: Data, line: Data) -> None:
    """What one line does."""
    units = line["quantity"]
    if kind in ("warehouse.stock.counted.v1", "warehouse.receipt.received.v1"):
        row["on_hand"] += units
    elif kind == "pos.sale.completed.v1":
        row["on_hand"] -= units
    elif kind == "pos.sale.returned.v1":
        row["quality_control"] += units
    elif kind == "returns.return.disposed.v1":
        if data["disposition"] == "restock":
            row["on_hand"] += units
        elif data["disposition"] == "quarantine":
            row["quality_control"] += units
    else:
        raise SystemExit(f"the sum does not know {kind}")


def read(url: str, path: str, keys: list[tuple[str, str]]) -> Iterator[Data]:
    """What the service answers of rows, page by page."""
    for start in range(0, len(keys), PAGE):
        items = [{"sku": sku, "location": place} for sku, place in keys[start : start + PAGE]]
        request = urllib.request.Request(
            f"{url}/v1/availability/{path}",
            json.dumps({"items": items}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            yield from json.load(answer)["items"]


def differs(row: Row, answer: Data) -> bool:
    """Whether an answer is not what the sum says."""
    if answer["status"] != "known" or any(answer[bucket] != row[bucket] for bucket in BUCKETS):
        return True
    available = row["on_hand"] - row["reserved"] - row["safety_stock"]
    shortfall = max(0, row["reserved"] - max(0, row["on_hand"]))
    right = (available, max(0, available), shortfall)
    return (answer["available"], answer["available_to_sell"], answer["shortfall"]) != right


def main() -> int:
    path, url = sys.argv[1:3]
    rows = expected(Path(path))
    keys = sorted(rows)
    wrong = [
        (key, rows[key], answer)
        for key, answer in zip(keys, read(url, "query", keys), strict=True)
        if differs(rows[key], answer)
    ]
    for key, row, answer in wrong[:5]:
        print(f"{key}: sum {row}, service {answer}")
    explained = [
        answer
        for key, answer in zip(keys, read(url, "explain", keys), strict=True)
        if answer["agrees"] and answer["on_hand"] == rows[key]["on_hand"]
    ]
    print(f"explained: {len(explained)} of {len(keys)} rows are the sum of their ledger entries")
    print(f"conservation: {len(wrong)} of {len(keys)} rows differ")
    return 1 if wrong or len(explained) < len(keys) else 0


if __name__ == "__main__":
    sys.exit(main())
