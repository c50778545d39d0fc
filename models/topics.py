"""Names of the topics, and the small numbers that stand for them inside movements.

Numbers are wire format: never reuse or reorder one.
"""

from typing import Final

POS_SALES: Final = "pos.sales"
WAREHOUSE_RECEIPTS: Final = "warehouse.receipts"
RETURNS_DISPOSITIONS: Final = "returns.dispositions"
ORDERS_RESERVATIONS: Final = "orders.reservations"

INVENTORY_MOVEMENTS: Final = "inventory.movements"
INVENTORY_STATE: Final = "inventory.state"
INVENTORY_SOURCES: Final = "inventory.sources"
INVENTORY_LEDGER: Final = "inventory.ledger"
ORDERS_STATE: Final = "orders.state"
CHANNEL_ALLOCATIONS: Final = "channel.allocations"
DEAD_LETTERS: Final = "inventory.dead-letters"
REFERENCE_LOCATIONS: Final = "reference.locations"
REFERENCE_ITEMS: Final = "reference.items"
REFERENCE_SOURCES: Final = "reference.sources"

SOURCE_TOPICS: Final = (POS_SALES, WAREHOUSE_RECEIPTS, RETURNS_DISPOSITIONS)
INPUT_TOPICS: Final = (*SOURCE_TOPICS, ORDERS_RESERVATIONS)
REFERENCE_TOPICS: Final = (REFERENCE_LOCATIONS, REFERENCE_ITEMS, REFERENCE_SOURCES)
"""One partition each, so that an offset says how far all of it was read."""

NUMBERED: Final = (*INPUT_TOPICS, INVENTORY_MOVEMENTS)
NUMBER: Final = {topic: number for number, topic in enumerate(NUMBERED)}
