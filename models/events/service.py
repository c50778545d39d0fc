"""Controls of a source, and the records that only the service itself may write."""

from typing import Annotated

from msgspec import Meta, Struct

from models.events.fields import (
    Epoch,
    Event,
    LineNumber,
    Location,
    Moment,
    Name,
    NotNegative,
    Number,
)


class Heartbeat(Struct, omit_defaults=True, gc=False):
    """The last sequence that the source has used; totals are of its whole epoch up to it."""

    sequence: Number
    transactions: Number | None = None
    units: Number | None = None


class EpochOpening(Struct, omit_defaults=True, gc=False):
    """The source's counter started anew at `since`, by default where the first held event is."""

    epoch: Epoch
    since: Moment | None = None


class Decision(Struct, omit_defaults=True, gc=False):
    reservation: Name
    line: LineNumber
    outcome: str


class Rule(Struct, omit_defaults=True, gc=False):
    channel: Name
    share: Annotated[int, Meta(ge=0, le=100)]
    buffer: NotNegative
    locations: list[Location] | None
    rank: int


class Offsets(Struct, omit_defaults=True, gc=False):
    """How far each reference topic has been read: next offsets."""

    offsets: dict[str, Number]


class Origin(Struct, array_like=True, gc=False):
    """Where the service emitted a record from: stage's topic, its partition, ordinal."""

    topic: int
    partition: int
    ordinal: int


class HeartbeatSent(Event, tag="source.heartbeat.v1", gc=False):
    data: Heartbeat


class EpochOpened(Event, tag="source.epoch.opened.v1", gc=False):
    data: EpochOpening


class Tick(Event, tag="onhand.tick.v1", gc=False):
    """Time passing, as a record of the log: expiry happens at its place, on its timestamp."""


class HoldDecided(Event, tag="onhand.decision.v1", gc=False):
    data: Decision
    origin: Origin


class ChannelRuleSet(Event, tag="onhand.channel.v1", gc=False):
    data: Rule


class ReferenceMoved(Event, tag="onhand.reference.v1", gc=False):
    """From here on in this partition, reference data is that before `offsets`."""

    data: Offsets
