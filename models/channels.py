"""Channels: what each may sell of a SKU, out of what its locations can promise.

A network promises the sum of its locations' available units, less the shortfalls,
clamped last: one location's book error must not hide another's stock. A pool is
divided by largest remainder, ties in the rules' order, each channel's buffer taken off.
"""

from collections.abc import Sequence

from msgspec import Struct

from models import rows
from models.rows import Row


class ChannelRow(Row, kw_only=True):
    """A channel's rule as one partition applies it. `share` in percent, `buffer` in units."""

    channel: str
    share: int
    buffer: int
    rank: int
    locations: list[str] | None = None

    def pool(self) -> tuple[str, ...] | None:
        """The locations that the channel draws on; None is all."""
        return None if self.locations is None else tuple(sorted(set(self.locations)))


class AllocationRow(Row, kw_only=True):
    """What one channel may sell of one SKU, in base units."""

    channel: str
    sku: str
    quantity: int


class Share(Struct, frozen=True):
    """A claim on a pool: percent of it, less a buffer of units."""

    percent: int
    buffer: int


def channel_key(partition: int, channel: str) -> str:
    """The key of a rule's row; every partition has its own."""
    return rows.key("channel", partition, channel)


def allocation_key(channel: str, sku: str) -> str:
    """The key of an allocation's row."""
    return rows.key("allocation", channel, sku)


def divide(units: int, shares: Sequence[Share]) -> list[int]:
    """Divide `units` by largest remainder (Hamilton's method), ties to the earlier share.

    Shares may add up to less than 100 (the rest is kept back) or to more (a unit is
    then offered more than once, which holds arbitrate).
    """
    units = max(0, units)
    quotas = [units * share.percent for share in shares]
    parts = [quota // 100 for quota in quotas]
    missing = sum(quotas) // 100 - sum(parts)
    by_remainder = sorted(range(len(shares)), key=lambda place: (-(quotas[place] % 100), place))
    for place in by_remainder[:missing]:
        parts[place] += 1
    return [max(0, part - share.buffer) for part, share in zip(parts, shares, strict=True)]


def allocate(rules: Sequence[ChannelRow], promised: dict[str, int]) -> dict[str, int]:
    """Units by channel, from what each location of one SKU promises (may be negative)."""
    pools: dict[tuple[str, ...] | None, list[ChannelRow]] = {}
    for rule in sorted(rules, key=lambda one: (one.rank, one.channel)):
        pools.setdefault(rule.pool(), []).append(rule)
    allocated: dict[str, int] = {}
    for pool, members in pools.items():
        units = (
            sum(promised.values())
            if pool is None
            else sum(promised.get(location, 0) for location in pool)
        )
        shares = [Share(rule.share, rule.buffer) for rule in members]
        for rule, quantity in zip(members, divide(units, shares), strict=True):
            allocated[rule.channel] = quantity
    return allocated
