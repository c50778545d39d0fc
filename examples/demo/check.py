"""Does every bucket of every row add up? A plain sum, apart from the service.

`python check.py SENT URL` reads the file of what was sent, one JSON object a line, and
the rows over HTTP. It imports nothing of the service: only the standard library.
"""

import json
import sys
import urllib.request
from collections import defaultdict
from pathlib import Path

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


def expected(path):
    """Sum up what was sent: {(sku, location): {bucket: units}}."""
    rows = defaultdict(lambda: dict.fromkeys(BUCKETS, 0))
    seen = set()
    orders = {}
    for text in Path(path).read_text().splitlines():
        sent = json.loads(text)
        event, data = sent["event"], sent["event"]["data"]
        kind = event["type"]
        if kind.startswith("orders."):
            what, name = kind.split(".")[2], data["reservation"]
            if what == "requested":
                orders.setdefault(name, [data["lines"], "held"])
            elif orders[name][1] not in ("released", "fulfilled"):
                orders[name][1] = what
            continue
        identity = (sent["topic"], event["source"], event["sequence"])
        if identity in seen:
            continue
        seen.add(identity)
        for line in data["lines"]:
            add(rows[line["sku"], data["location"]], kind, data, line)
    for lines, fate in orders.values():
        for line in lines:
            row = rows[line["sku"], line["location"]]
            if fate == "fulfilled":
                row["on_hand"] -= line["quantity"]
            elif fate != "released":
                row["reserved"] += line["quantity"]
    return rows


def add(row, kind, data, line):
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


def read(url, keys):
    """The rows as the service answers them."""
    for start in range(0, len(keys), PAGE):
        items = [{"sku": sku, "location": place} for sku, place in keys[start : start + PAGE]]
        request = urllib.request.Request(
            f"{url}/v1/availability/query",
            json.dumps({"items": items}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            yield from json.load(answer)["items"]


def differs(row, answer):
    """Whether an answer is not what the sum says."""
    if answer["status"] != "known" or any(answer[bucket] != row[bucket] for bucket in BUCKETS):
        return True
    available = row["on_hand"] - row["reserved"] - row["safety_stock"]
    shortfall = max(0, row["reserved"] - max(0, row["on_hand"]))
    right = (available, max(0, available), shortfall)
    return (answer["available"], answer["available_to_sell"], answer["shortfall"]) != right


def main():
    path, url = sys.argv[1:3]
    rows = expected(path)
    keys = sorted(rows)
    wrong = [
        (key, rows[key], answer)
        for key, answer in zip(keys, read(url, keys), strict=True)
        if differs(rows[key], answer)
    ]
    for key, row, answer in wrong[:5]:
        print(f"{key}: sum {row}, service {answer}")
    print(f"conservation: {len(wrong)} of {len(keys)} rows differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
