"""Channel allocations of one partition, computed in the same step as the stock.

They are judged after every movement, not once per step: a crash may cut the steps
anew, and what was emitted must not depend on the cut. Within a step the last value of
a channel and SKU is sent, and only if one of them was a change.
"""

from typing import Final

import msgspec

from models import topics
from models.channels import (
    AllocationRow,
    ChannelRow,
    allocate,
    allocation_key,
    channel_key,
)
from models.inventory import Change
from models.movements import ChannelRuleSet
from models.rows import Deleted, parts, stock_key
from models.stock import StockRow
from streams.engine.deletes import tombstone
from streams.engine.partition import Partition
from streams.engine.sender import Destination
from streams.engine.stage import Work

SWEEP: Final = 2_000
"""SKUs that one step looks at when a rule changes; the cursor remembers where it was."""

_INPUT: Final = topics.INVENTORY_MOVEMENTS


class Allocations:
    """The rules in force in one partition, and what each SKU's locations promise."""

    def __init__(self, partition: Partition, destination: Destination) -> None:
        self._partition = partition
        self._destination = destination
        self._changed: dict[tuple[str, str], AllocationRow | Deleted] = {}
        self._promised: dict[str, dict[str, int]] = {}
        self._locations: dict[str, set[str]] = {}
        prefix = channel_key(partition.number, "")
        keys = sorted(key for key in partition.encoded if key.startswith(prefix))
        rows = (partition.get(key, ChannelRow) for key in keys)
        self.rules = [row for row in rows if row is not None]
        if self.rules:
            self._index()

    def _index(self) -> None:
        self._locations = {}
        for _, sku, location in map(parts, self._partition.names("stock|")):
            self._locations.setdefault(sku, set()).add(location)

    def _of_sku(self, sku: str) -> dict[str, int]:
        promised = self._promised.get(sku)
        if promised is None:
            promised = self._promised[sku] = {}
            for location in self._locations.get(sku, ()):
                row = self._partition.get(stock_key(sku, location), StockRow)
                if row is not None:
                    promised[location] = row.promise()
        return promised

    def moved(self, change: Change, version: int) -> None:
        """A stock row changed: judge its SKU's allocations anew, if its promise did."""
        row, before = change.row, change.before
        if before is None:
            self._locations.setdefault(row.sku, set()).add(row.location)
        known = before.promise() if before is not None else None
        if row.promise() != known:
            self.promise_moved(row.sku, row.location, row.promise(), version)

    def promise_moved(self, sku: str, location: str, promise: int, version: int) -> None:
        """What a row adds to its network is another than before: judge its SKU anew."""
        self._of_sku(sku)[location] = promise
        self._judge(sku, version)

    def left(self, sku: str, location: str) -> None:
        """A SKU has no row at a location any more; with the last one go its allocations."""
        locations = self._locations.get(sku)
        if locations is None:
            return
        locations.discard(location)
        self._promised.get(sku, {}).pop(location, None)
        if locations:
            return
        del self._locations[sku]
        self._promised.pop(sku, None)
        for rule in self.rules:
            key = allocation_key(rule.channel, sku)
            known = self._partition.get(key, AllocationRow)
            if known is not None:
                gone = Deleted(version=known.version + 1)
                self._partition.delete(key, gone.version)
                self._changed[rule.channel, sku] = gone

    def _judge(self, sku: str, version: int) -> None:
        for channel, quantity in allocate(self.rules, self._of_sku(sku)).items():
            key = allocation_key(channel, sku)
            known = self._partition.get(key, AllocationRow)
            if known is not None and known.quantity == quantity:
                continue
            row = AllocationRow(version=version, channel=channel, sku=sku, quantity=quantity)
            self._partition.put(key, row)
            self._changed[channel, sku] = row

    def rule_set(self, work: Work, movement: ChannelRuleSet, version: int) -> bool:
        """Take a channel's rule, then sweep every SKU, a part per step; False until done."""
        cursor = self._partition.position.cursor
        done = cursor.get(_INPUT, 0)
        if done == 0:
            self._replace(movement, version)
        skus = sorted(self._locations)
        for sku in skus[done : done + SWEEP]:
            self._judge(sku, version)
        if done + SWEEP < len(skus):
            cursor[_INPUT] = done + SWEEP
            return False
        cursor.pop(_INPUT, None)
        return True

    def _replace(self, movement: ChannelRuleSet, version: int) -> None:
        rule = ChannelRow(
            version=version,
            channel=movement.channel,
            share=movement.share,
            buffer=movement.buffer,
            rank=movement.rank,
            locations=movement.locations,
        )
        self._partition.put(channel_key(self._partition.number, rule.channel), rule)
        if not self.rules:
            self._index()
        self.rules = [one for one in self.rules if one.channel != rule.channel] + [rule]

    def send(self, work: Work) -> None:
        """Emit the last value of what changed in this step."""
        for (channel, sku), row in self._changed.items():
            key = allocation_key(channel, sku).removeprefix("allocation|").encode()
            if isinstance(row, Deleted):
                _, value, headers = tombstone("", row.version)
                work.emit(self._destination, key, value, headers)
            else:
                work.emit(self._destination, key, msgspec.json.encode(row))
        self._changed.clear()
