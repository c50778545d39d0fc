"""The golden scenarios through Kafka, a worker process and HTTP."""

import pytest

from models import ledger, topics
from tests import scenarios
from tests.harness import Harness
from tests.scenarios import Event, Expect, Put


class EndToEnd:
    """Runs scenarios against a running service."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    def send(self, record: Event | list[Event]) -> None:
        self._harness.send(record)
        self._harness.settle()

    def put(self, stated: Put) -> None:
        self._harness.put_reference(stated.kind, stated.name, stated.facts)

    def outcomes(self, sku: str) -> list[str]:
        entries = {}
        for record in self._harness.records(topics.INVENTORY_LEDGER):
            for entry in ledger.decode(record.value):
                if entry.movement.sku == sku:
                    entries[entry.version] = entry.outcome
        return [entries[version] for version in sorted(entries)]

    def expect(self, expected: Expect) -> None:
        for (sku, location), buckets in expected.stock.items():
            answer = self._harness.stock(sku, location)
            assert {name: answer[name] for name in buckets} == buckets
        for source, gaps in expected.gaps.items():
            found = self._harness.get(f"/v1/sources/{source}").json()
            assert [tuple(gap) for epoch in found["epochs"] for gap in epoch["gaps"]] == gaps
        for reservation, status in expected.orders.items():
            found = self._harness.get(f"/v1/reservations/{reservation}").json()
            assert found["status"] == status

    def letters(self, about: str) -> list[str]:
        return [
            headers["onhand-code"]
            for headers, value in self._harness.letters()
            if f'-{about}"'.encode() in value
        ]


PLAIN = [make for make in scenarios.ALL if not make().own_time]
OWN_TIME = [make for make in scenarios.ALL if make().own_time]


@pytest.mark.parametrize("make", PLAIN, ids=lambda make: make.__name__)
def test_a_golden_scenario_holds_also_after_redelivery(make, running):
    scenarios.run(make(), EndToEnd(running))


def test_after_all_of_them_a_replay_of_the_movements_gives_the_same_state(running):
    running.settle()
    assert running.service.digest() == running.service.digest(replay=True)


def test_scenarios_that_tell_their_own_time(bootstrap, logs):
    with Harness(bootstrap, logs, "own-time.", ONHAND_TIMESTAMPS="CreateTime") as harness:
        harness.service.start_worker()
        harness.service.start_api()
        for make in OWN_TIME:
            scenarios.run(make(), EndToEnd(harness))
        assert harness.service.digest() == harness.service.digest(replay=True)
