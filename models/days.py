"""The days of a log: where each began, so that a row's version tells when it last changed."""

from bisect import bisect_left
from typing import ClassVar, Final

from models import rows
from models.rows import Row

PREFIX: Final = "days|"


class DaysRow(Row, kw_only=True):
    """Days since 1970 on which the log had records, in order, and the version that each began with.

    A row of a lower version than `starts[n]` last changed before day `days[n]`; one that is older
    than all of them counts as changed on the first. `is_done`: what was due on the last day is.
    """

    is_filed: ClassVar[bool] = True

    days: list[int] = []
    starts: list[int] = []
    is_done: bool = False

    def turned(self, day: int, start: int) -> "DaysRow":
        """The log has come to another `day`, with the version `start`."""
        return DaysRow(version=start, days=[*self.days, day], starts=[*self.starts, start])

    def done(self, version: int) -> "DaysRow":
        """All that was due on the last day is done."""
        return DaysRow(version=version, days=self.days, starts=self.starts, is_done=True)

    def unchanged_below(self, first: int) -> int:
        """Rows of lower versions last changed before day `first`, which is not after the last."""
        known = bisect_left(self.days, first)
        return self.starts[known] if known else 0

    def since(self, first: int) -> "DaysRow":
        """Without what no longer tells apart which rows have changed since day `first`."""
        known = max(0, bisect_left(self.days, first) - 1)
        return DaysRow(version=self.version, days=self.days[known:], starts=self.starts[known:])


def days_key(partition: int) -> str:
    """The key of a partition's days."""
    return rows.key("days", partition)
