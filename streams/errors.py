"""What may go wrong in the worker beyond bad input.

StreamsError
├── MissingTopicError        `python -m streams topics` was not run
├── PartitionMismatchError   topics do not have the partitions that state was made with
├── NotAtRestError           a command needs the service to stand still, and it does not
├── MigrationError           what is to be moved is not at rest, or did not arrive whole
├── RebuildError             the logs no longer hold all that the state was made of
├── DamagedStateError        state was left unrepaired until compaction may have taken from it
├── LostLogError             a log no longer has, or not yet has, what state says was absorbed
├── LostStateError           what the group has absorbed is in no state, nor in the log any more
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

    def __init__(self, what: str, have: int, want: int) -> None:
        super().__init__(f"{what} has {have} partitions, but {want} are expected")


class NotAtRestError(StreamsError):
    """Workers must be stopped, and nothing else may write."""


class RebuildError(StreamsError):
    """Nothing was changed."""


class MigrationError(StreamsError):
    """Nothing was changed where it was; what was begun elsewhere can't be used."""


class DamagedStateError(StreamsError):
    """A late write that nobody repaired is older than compaction spares."""

    def __init__(self, topic: str, partition: int, hours: float) -> None:
        super().__init__(
            f"{topic}/{partition} holds a late write of {hours:.1f} h ago that was never repaired; "
            "rows may be missing: run `python -m streams rebuild`"
        )


class LostLogError(StreamsError):
    """Starting anyway would lose or repeat records."""

    def __init__(self, topic: str, partition: int, start: int, end: int, resume: int) -> None:
        super().__init__(
            f"{topic}/{partition} holds offsets {start} to {end - 1}, "
            f"but state was absorbed up to {resume - 1}: refusing to start"
        )


class LostStateError(StreamsError):
    """Starting anyway would begin in the middle of a log, as if nothing had been before."""

    def __init__(self, topic: str, partition: int, start: int, committed: int) -> None:
        super().__init__(
            f"{topic}/{partition} begins at offset {start}, its group has absorbed up to "
            f"{committed - 1}, and the state knows nothing of it: refusing to start. Bring the "
            "state topic back, or delete the group's offsets to begin with what the log still holds"
        )


class OwnershipLostError(StreamsError):
    """What was computed must not be submitted any more."""
