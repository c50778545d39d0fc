"""How short processors are."""

import sys
import time

import pytest

from runtime.processors import LOOK_SECONDS, Scarcity, ran

MS = 1_000_000


class Thread:
    """One that runs and waits for as long as is said."""

    def __init__(self):
        self.now, self.running, self.waiting, self.looks = 0.0, 0, 0, 0

    def lives(self, running, waiting, seconds=LOOK_SECONDS):
        self.now += seconds
        self.running += running
        self.waiting += waiting

    def told(self):
        self.looks += 1
        return self.running, self.waiting


@pytest.fixture
def thread():
    return Thread()


@pytest.fixture
def scarcity(thread):
    return Scarcity(thread.told, lambda: thread.now)


def test_what_is_short_is_what_was_waited_for(thread, scarcity):
    assert scarcity.share() == 0
    for _ in range(30):
        thread.lives(30 * MS, 10 * MS)
        scarcity.share()
    assert scarcity.share() == pytest.approx(0.25, rel=0.01)
    for _ in range(30):
        thread.lives(20 * MS, 60 * MS)
        scarcity.share()
    assert scarcity.share() == pytest.approx(0.75, rel=0.01)


def test_one_look_is_not_believed_at_once(thread, scarcity):
    thread.lives(0, 50 * MS)
    assert scarcity.share() == pytest.approx(0.25)


def test_who_hardly_wants_a_processor_finds_enough(thread, scarcity):
    thread.lives(0, 50 * MS)
    before = scarcity.share()
    thread.lives(0, 1 * MS)
    assert 0 < scarcity.share() < before


def test_it_is_looked_at_now_and_then(thread, scarcity):
    for _ in range(100):
        thread.lives(0, 0, LOOK_SECONDS / 10)
        scarcity.share()
    assert thread.looks <= 1 + 11


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")
def test_linux_counts_what_runs():
    before, _ = ran()
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        pass
    assert ran()[0] - before >= 15 * MS


def test_elsewhere_nothing_is_counted(monkeypatch, tmp_path):
    monkeypatch.setattr("runtime.processors._COUNTED", tmp_path / "schedstat")
    assert ran() == (0, 0)
