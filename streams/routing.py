"""Which partition a key belongs to, and the destinations of each kind of output."""

from aiokafka.partitioner import murmur2

from models import topics
from streams.settings import Settings

_REMEMBERED = 200_000


class Routing:
    """Topics as the broker names them, and partitions by murmur2, as every Kafka client."""

    def __init__(self, settings: Settings) -> None:
        self.partitions = settings.partitions
        self.movements = settings.topic(topics.INVENTORY_MOVEMENTS)
        self.ledger = settings.topic(topics.INVENTORY_LEDGER)
        self.dead_letters = settings.topic(topics.DEAD_LETTERS)
        self.reservations = settings.topic(topics.ORDERS_RESERVATIONS)
        self.allocations = settings.topic(topics.CHANNEL_ALLOCATIONS)
        self._known: dict[str, tuple[bytes, int]] = {}

    def of(self, key: str) -> tuple[bytes, int]:
        """The key's bytes and its partition."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            encoded = key.encode()
            found = encoded, (murmur2(encoded) & 0x7FFFFFFF) % self.partitions
            self._known[key] = found
        return found
