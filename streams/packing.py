"""Values on their way out, packed into as few records as their order allows."""

from models.movements import MAX_PACKED, Movement, encode
from models.packs import pack
from streams.engine.stage import Work
from streams.routing import Routing


class Packing:
    """Collects a step's movements per destination, encoded. Their order there is kept."""

    def __init__(self, routing: Routing, *, compiled: bool = True) -> None:
        self._routing = routing
        self.packs = [pack(MAX_PACKED, compiled=compiled) for _ in range(routing.partitions)]

    def add(self, movement: Movement) -> None:
        """Send `movement` to its SKU's partition, by the end of the step."""
        self.packs[self._routing.of(movement.sku)[1]].add(encode(movement))

    def add_all(self, movements: list[Movement]) -> None:
        """Send each of `movements` to its SKU's partition, by the end of the step."""
        for movement in movements:
            self.add(movement)

    def send_alone(self, work: Work, number: int, movement: Movement) -> None:
        """Send `movement` to partition `number` as a record of its own, after what was added."""
        self.flush(work)
        work.emit(self._routing.movements[number], None, encode([movement]))

    def drop(self) -> None:
        """Forget what was added: its step will not be submitted."""
        for one in self.packs:
            one.clear()

    def flush(self, work: Work) -> None:
        """Emit what was added."""
        for destination, one in zip(self._routing.movements, self.packs, strict=True):
            for record in one.taken():
                work.emit(destination, None, record)
