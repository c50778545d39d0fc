"""The latest allocation of every channel and SKU, and a resumable stream of changes.

An event's id names how far each partition of the inventory's state had come, so a stream resumes
from it at any process: what changed since is each SKU's latest value, not each step to it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import msgspec

from models.channels import AllocationRow
from models.rows import decode, head, parts, tombstone_version
from runtime.records import Fetched

Places = dict[int, int]


class Allocation(NamedTuple):
    """One allocation, where it stands in the log, and the how manieth change it was here."""

    row: AllocationRow
    partition: int
    offset: int
    change: int

    def json(self) -> bytes:
        """The row as it is published."""
        return msgspec.json.encode(self.row)


class AllocationFeed:
    """Kept by following the allocations of `inventory.state`.

    `channel.allocations` has the same sooner. But where a process that was thought gone appends to
    it, an older one may come last, and compaction then leaves that: state is repaired.
    """

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, Allocation]] = {}
        self._gone: dict[tuple[str, str], int] = {}
        """Versions of those that are gone, until nothing older can come."""
        self._changed = asyncio.Event()
        self._changes = 0

    def take(self, partition: int, records: Iterable[Fetched]) -> None:
        """Take what came by in a partition of the log: rows of allocations."""
        for record in records:
            _, channel, sku = parts((record.key or b"").decode())
            if record.value is None:
                self._forget(channel, sku, tombstone_version(record.headers))
                continue
            version, gone = head(record.value)
            if self._is_known(channel, sku, version):
                continue
            known = self._latest.setdefault(channel, {})
            # Popped first: the dictionary stays in the order of the latest changes.
            known.pop(sku, None)
            if gone:
                self._gone[channel, sku] = version
                continue
            self._gone.pop((channel, sku), None)
            self._changes += 1
            row = decode(record.value, AllocationRow)
            known[sku] = Allocation(row, partition, record.offset, self._changes)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _is_known(self, channel: str, sku: str, version: int) -> bool:
        held = self._latest.get(channel, {}).get(sku)
        known = self._gone.get((channel, sku), -1) if held is None else held.row.version
        return known >= version

    def _forget(self, channel: str, sku: str, version: int) -> None:
        if self._gone.get((channel, sku), version + 1) <= version:
            del self._gone[channel, sku]
        held = self._latest.get(channel, {}).get(sku)
        if held is not None and held.row.version <= version:
            del self._latest[channel][sku]

    def page(self, channel: str, after: str, limit: int) -> list[AllocationRow]:
        """Allocations of a channel by SKU, those after `after`."""
        known = self._latest.get(channel, {})
        skus = sorted(sku for sku in known if sku > after)
        return [known[sku].row for sku in skus[:limit]]

    async def stream(self, channel: str, since: Places) -> AsyncIterator[tuple[str, Allocation]]:
        """Every allocation that is newer than `since`, then each change: (id, allocation)."""
        places = dict(since)
        seen = 0
        while True:
            changed = self._changed
            for allocation in self._since(channel, seen):
                seen = allocation.change
                if allocation.offset <= places.get(allocation.partition, -1):
                    continue
                places[allocation.partition] = allocation.offset
                yield to_id(places), allocation
            await changed.wait()

    def _since(self, channel: str, change: int) -> list[Allocation]:
        newer = []
        for allocation in reversed(self._latest.get(channel, {}).values()):
            if allocation.change <= change:
                break
            newer.append(allocation)
        newer.reverse()
        return newer


def to_id(places: Places) -> str:
    """`partition.offset` pairs joined by `-`: an event's id."""
    return "-".join(f"{partition}.{offset}" for partition, offset in sorted(places.items()))


def from_id(text: str) -> Places:
    """The inverse of `to_id`. Raises ValueError where the text is no such id."""
    places: Places = {}
    for pair in filter(None, text.split("-")):
        partition, _, offset = pair.partition(".")
        places[int(partition)] = int(offset)
    return places
