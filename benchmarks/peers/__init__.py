"""The benchmark's two stages in other systems; each module is a program of its own.

All take their work from the environment: PEER_KAFKA, PEER_NAME (its consumer group),
PEER_INPUTS (topics, comma-separated), PEER_PARTITIONS, PEER_FOLDER (for local state),
PEER_REALTIME (1: be real-time where permitted; only the least is).
"""

import os
from typing import Final

KAFKA: Final = os.environ.get("PEER_KAFKA", "")
NAME: Final = os.environ.get("PEER_NAME", "")
INPUTS: Final = os.environ.get("PEER_INPUTS", "").split(",")
PARTITIONS: Final = int(os.environ.get("PEER_PARTITIONS", "4"))
REALTIME: Final = os.environ.get("PEER_REALTIME") == "1"
FOLDER: Final = os.environ.get("PEER_FOLDER", "")

PER_UNIT: Final = {
    "pos.sale.completed.v1": (-1, 0),
    "pos.sale.returned.v1": (0, 1),
    "warehouse.receipt.received.v1": (1, 0),
    "returns.return.disposed.v1": (1, 0),
}
"""What a unit of each event type adds on hand, and in quality control."""
