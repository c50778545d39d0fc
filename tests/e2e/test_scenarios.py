"""The golden scenarios through Kafka, a worker process and HTTP."""

import pytest

from tests import scenarios
from tests.harness import Harness
from tests.scenarios import Event, Expect


class EndToEnd:
    """Runs scenarios against a running service."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    def send(self, record: Event | list[Event]) -> None:
        self._harness.send(record)
        self._harness.settle()

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


@pytest.mark.parametrize("make", scenarios.ALL, ids=lambda make: make.__name__)
def test_a_golden_scenario_holds_also_after_redelivery(make, running):
    scenarios.run(make(), EndToEnd(running))


def test_after_all_of_them_a_replay_of_the_movements_gives_the_same_state(running):
    running.settle()
    assert running.service.digest() == running.service.digest(replay=True)
