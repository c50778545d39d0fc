"""Quix Streams: a stateful filter, a topic keyed by row, a stateful sum."""

from typing import Any

from quixstreams import Application, State
from quixstreams.models import TopicConfig

from benchmarks import peers


def is_new(event: dict[str, Any], state: State) -> bool:
    """Let each sequence of a source pass once."""
    if event["sequence"] <= state.get("last", 0):
        return False
    state.set("last", event["sequence"])
    return True


def movements(event: dict[str, Any]) -> list[dict[str, Any]]:
    """The movements of an event's lines."""
    on_hand, quality_control = peers.PER_UNIT[event["type"]]
    location = event["data"]["location"]
    return [
        {
            "key": f"{line['sku']}|{location}",
            "on_hand": line["quantity"] * on_hand,
            "quality_control": line["quantity"] * quality_control,
        }
        for line in event["data"]["lines"]
    ]


def add(movement: dict[str, Any], state: State) -> None:
    """Add a movement to its row."""
    on_hand, quality_control = state.get("stock", (0, 0))
    state.set(
        "stock", [on_hand + movement["on_hand"], quality_control + movement["quality_control"]]
    )


def main() -> None:
    """Run until a signal comes."""
    app = Application(
        broker_address=peers.KAFKA,
        consumer_group=peers.NAME,
        auto_offset_reset="earliest",
        commit_interval=0.5,
        state_dir=peers.FOLDER,
        loglevel="WARNING",
        producer_extra_config={"linger.ms": 50, "batch.size": 262_144},
        max_partition_buffer_size=100_000,
    )
    config = TopicConfig(num_partitions=peers.PARTITIONS, replication_factor=1)
    by_row = app.topic(f"{peers.NAME}-movements", config=config)
    for name in peers.INPUTS:
        events = app.dataframe(app.topic(name))
        moved = events.filter(is_new, stateful=True).apply(movements, expand=True)
        moved.to_topic(by_row, key=lambda movement: movement["key"])
    app.dataframe(by_row).update(add, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
