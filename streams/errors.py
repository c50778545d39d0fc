"""What may go wrong in the worker beyond bad input.

StreamsError
├── MissingTopicError        `python -m streams topics` was not run
├── PartitionMismatchError   topics do not have the partitions that state was made with
├── LostLogError             a log no longer has, or not yet has, what state says was absorbed
└── OwnershipLostError       a partition was taken away in the middle of a step
"""


class StreamsError(Exception):
    """Root of the worker's errors."""


class MissingTopicError(StreamsError):
    """Topics are created by a command, never by the way."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"topic {topic} is missing: run `python -m streams topics` first")


class PartitionMismatchError(StreamsError):
    """Growing partitions is a migration, never a side effect."""

    def __init__(self, topic: str, have: int, want: int) -> None:
        super().__init__(f"topic {topic} has {have} partitions, but {want} are expected")


class LostLogError(StreamsError):
    """Starting anyway would lose or repeat records."""

    def __init__(self, topic: str, partition: int, start: int, end: int, resume: int) -> None:
        super().__init__(
            f"{topic}/{partition} holds offsets {start} to {end - 1}, "
            f"but state was absorbed up to {resume - 1}: refusing to start"
        )


class OwnershipLostError(StreamsError):
    """What was computed must not be submitted any more."""
