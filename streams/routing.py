"""Which partition a key belongs to, and the destinations of each kind of output."""

from aiokafka.partitioner import murmur2

from models import topics
from streams.engine.sender import Destination
from streams.settings import Settings

_REMEMBERED = 200_000


class Routing:
    """Destinations by topic and partition; keys are placed by murmur2, as every client does."""

    def __init__(self, settings: Settings) -> None:
        self.partitions = settings.partitions
        self.document_days = settings.document_days
        self.stock_days = settings.stock_days

        def everywhere(topic: str) -> list[Destination]:
            return [(settings.topic(topic), number) for number in range(settings.partitions)]

        self.inputs = {topic: everywhere(topic) for topic in topics.SOURCE_TOPICS}
        self.movements = everywhere(topics.INVENTORY_MOVEMENTS)
        self.ledger = everywhere(topics.INVENTORY_LEDGER)
        self.dead_letters = everywhere(topics.DEAD_LETTERS)
        self.reservations = everywhere(topics.ORDERS_RESERVATIONS)
        self.allocations = everywhere(topics.CHANNEL_ALLOCATIONS)
        self._known: dict[str, tuple[bytes, int]] = {}
        """Keys placed lately."""

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
