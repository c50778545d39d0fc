"""Thousands of seeds agree with a replay; a service with any one rule broken does not."""

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

import pytest

from local.processes import ROOT
from tests.simulation import world
from tests.simulation.planted import NEEDED, PLANTED, forgetting, needed, planted

SEEDS = 2_000
SOAK_SEEDS = int(os.environ.get("SEEDS", "20000"))
FORGETTING_SEEDS = 100
PART = 25
NEEDED_SEEDS = 60
ENOUGH = 400
"""Seeds within which a planted bug must show."""


def wrong(seeds: int) -> list[tuple[int, str]]:
    parts = [range(start, start + PART) for start in range(0, seeds, PART)]
    with ProcessPoolExecutor() as pool:
        return [one for found in pool.map(world.wrong_seeds, parts) for one in found]


def test_every_seed_comes_to_what_a_replay_comes_to():
    assert wrong(SEEDS) == []


@pytest.mark.soak
def test_many_more_seeds_do_too():
    assert wrong(SOAK_SEEDS) == []


@pytest.mark.parametrize("seconds", [1, 5])
def test_from_a_replay_the_same_rows_leave(seconds):
    with forgetting(seconds) as forgotten:
        assert world.wrong_seeds(range(FORGETTING_SEEDS)) == []
    assert forgotten["order"] > FORGETTING_SEEDS
    assert forgotten["stock"] > FORGETTING_SEEDS


@pytest.mark.parametrize("bug", sorted(PLANTED))
def test_a_planted_bug_is_found(bug):
    with planted(bug) as mistakes:
        found = (seed for seed in range(ENOUGH) if world.wrong_seeds(range(seed, seed + 1)))
        assert list(islice(found, 1)), f"no seed of {ENOUGH} shows it"
    assert mistakes == []


@pytest.mark.parametrize("bug", sorted(NEEDED))
def test_what_a_bug_needs_in_order_to_show_is_no_bug_itself(bug):
    with needed(bug):
        assert world.wrong_seeds(range(NEEDED_SEEDS)) == []


DIGEST = "from tests.simulation import world; print(world.run(17).digest())"
STORY = """
from tests.simulation import world
from tests.simulation.planted import planted
with planted("the last record wins"):
    print(next(filter(None, (world.wrong_seeds(range(seed, seed + 1)) for seed in range(400)))))
"""


@pytest.mark.parametrize("code", [DIGEST, STORY], ids=["digest", "story of a wrong one"])
def test_a_seed_runs_the_same_in_every_process(code):
    def told(hash_seed: str) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            check=True,
            timeout=300,
        ).stdout.decode()

    assert told("1") == told("2") != ""
