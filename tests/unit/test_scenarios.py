"""The golden scenarios on the stages themselves, without a broker."""

import json
from datetime import datetime

import msgspec
import pytest

from models.instants import from_datetime
from models.reference import Facts, ItemFacts, LocationFacts, SourceFacts
from tests import scenarios
from tests.pipeline import Pipeline, key_of, received, topic_of
from tests.scenarios import Event, Expect, Put

KINDS = {"locations": LocationFacts, "items": ItemFacts, "sources": SourceFacts}


def facts_of(stated: Put) -> Facts:
    """Reference data as it is kept: times in microseconds."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(one) for name, one in value.items()}
        if isinstance(value, list):
            return [plain(one) for one in value]
        is_time = isinstance(value, str) and value.endswith("Z")
        return from_datetime(datetime.fromisoformat(value)) if is_time else value

    return msgspec.convert(plain(stated.facts), KINDS[stated.kind])


class InMemory:
    """Runs a scenario in a pipeline of its own."""

    def __init__(self, partitions: int) -> None:
        self.pipeline = Pipeline(partitions)

    def send(self, record: Event | list[Event]) -> None:
        self.pipeline.send(record)

    def put(self, stated: Put) -> None:
        self.pipeline.put(stated.kind.removesuffix("s"), stated.name, facts_of(stated))

    def outcomes(self, sku: str) -> list[str]:
        return [entry.outcome for entry in self.pipeline.ledger(sku)]

    def expect(self, expected: Expect) -> None:
        for (sku, location), buckets in expected.stock.items():
            answer = self.pipeline.stock(sku, location)
            wanted = {name: units for name, units in buckets.items() if name != "gaps"}
            assert {name: answer[name] for name in wanted} == wanted
        for source, gaps in expected.gaps.items():
            assert self.pipeline.gaps(source) == gaps
        for reservation, status in expected.orders.items():
            assert self.pipeline.order(reservation).status == status

    def letters(self, about: str) -> list[str]:
        return [code for code, _ in self.pipeline.letters()]


@pytest.mark.parametrize("make", scenarios.ALL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("partitions", [1, 3])
def test_a_golden_scenario_holds_also_after_redelivery(make, partitions):
    scenarios.run(make(), InMemory(partitions))


@pytest.mark.parametrize("make", scenarios.ALL, ids=lambda make: make.__name__)
def test_steps_of_one_record_lead_to_the_same_rows_as_one_large_step(make):
    steps = make().steps
    stated = [step for step in steps if isinstance(step, Put)]
    events = [step for step in steps if not isinstance(step, Expect | Put)]
    whole, single = Pipeline(), Pipeline()
    for pipeline in (whole, single):
        for step in stated:
            pipeline.put(step.kind.removesuffix("s"), step.name, facts_of(step))
        for record in events:
            first = record[0] if isinstance(record, list) else record
            value = json.dumps(record).encode()
            pipeline.append(topic_of(first), key_of(first), value, received(record))
    whole.run()
    single.run(limit=1)
    for sku, location in make().end.stock:
        ours, theirs = whole.stock(sku, location), single.stock(sku, location)
        for answer in (ours, theirs):
            answer.pop("version")
            answer.pop("as_of")
        assert ours == theirs


def test_the_outage_burst_leaves_one_ledger_entry_per_line():
    scenario = scenarios.g12_count_first()
    pipeline = Pipeline()
    for step in scenario.steps:
        pipeline.send(step)
    outcomes = [entry.outcome for entry in pipeline.ledger("S-g12a")]
    assert outcomes.count("absorbed_by_count") == 180
    assert outcomes.count("applied") == 320
    assert pipeline.stock_row("S-g12a", "17-g12a").variance == 5
