"""What was fetched of an input and is not absorbed yet."""

from collections import deque

from runtime.records import Fetch, size_of


class Waiting:
    """Records of one partition, in the runs in which they came. `bytes` are those of values."""

    __slots__ = ("_runs", "bytes", "count")

    def __init__(self) -> None:
        self._runs: deque[Fetch] = deque()
        self.count = 0
        self.bytes = 0

    def add(self, run: Fetch) -> None:
        """Take what comes after all that waits."""
        self._runs.append(run)
        self.count += len(run)
        self.bytes += size_of(run)

    def take(self, most: int) -> Fetch:
        """The next records of one run: about `most` bytes of them, one at least."""
        run = self._runs.popleft()
        number = 1 + most * self.count // max(1, self.bytes)
        if number < len(run):
            self._runs.appendleft(run[number:])
            run = run[:number]
        self.count -= len(run)
        self.bytes -= size_of(run)
        return run

    def give_back(self, run: Fetch) -> None:
        """Have the last of what was taken come next again."""
        self._runs.appendleft(run)
        self.count += len(run)
        self.bytes += size_of(run)
