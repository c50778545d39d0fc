"""Taking what stands in a log through a stage once more, its outputs dropped."""

from collections.abc import Iterable

from runtime.records import Fetched
from streams.engine.partition import Partition
from streams.engine.stage import Outputs, Stage, Work


def replay_run(stage: Stage, partition: Partition, topic: str, run: Iterable[Fetched]) -> None:
    """Absorb a run of `topic` (without prefix); the partition then holds what it leads to."""
    outputs: Outputs = {}
    work = Work(partition, outputs)
    work.turn_to(topic)
    for record in run:
        work.begin(record)
        while not stage.absorb(work, record):
            pass
        partition.position.offsets[topic] = record.offset
        outputs.clear()
    work.end()
    stage.finish(work)
    partition.acknowledge(partition.cut("replay", 0))
