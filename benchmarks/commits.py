"""CPU per event against another commit, in one run on one machine.

Each commit's ingest case runs from its own files, with this environment's
interpreter, in turn: machines drift, and a pair of neighbours drifts little.
The first of a pair may pay for memory that the second then finds warm, so each
is first in every second one.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from local.processes import ROOT, LocalError, scratch


def compare(base: str, events: int, rounds: int) -> dict[str, Any]:
    """Run both commits `rounds` times; the ratio is the median of the pairs' ratios."""
    with scratch("commits") as folder:
        _check_out(base, folder)
        pairs = [_pair(folder, events, number) for number in tqdm(range(rounds), "pairs of runs")]
    ratios = [ours / theirs for ours, theirs in pairs]
    return {
        "case": "compare-commits",
        "base": base,
        "events": events,
        "cpu_us_per_event": [ours for ours, _ in pairs],
        "cpu_us_per_event_base": [theirs for _, theirs in pairs],
        "ratio": round(statistics.median(ratios), 3),
    }


def _pair(folder: Path, events: int, number: int) -> tuple[float, float]:
    if number % 2:
        theirs = _cost(folder, events)
        return _cost(ROOT, events), theirs
    return _cost(ROOT, events), _cost(folder, events)


def _check_out(commit: str, folder: Path) -> None:
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        raise LocalError(f"no such commit: {commit}")
    subprocess.run(["tar", "-x"], cwd=folder, input=archive.stdout, check=True)
    jars = ROOT / ".local"
    if jars.exists():
        (folder / ".local").symlink_to(jars)
    if (folder / "local" / "native.py").exists():
        subprocess.run([sys.executable, "-m", "local.native"], cwd=folder, check=True)


def _cost(folder: Path, events: int) -> float:
    command = [sys.executable, "-m", "benchmarks", "ingest", "--events", str(events)]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=dict(os.environ), check=False
    )
    if done.returncode:
        raise LocalError(f"{folder}: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_us_per_event"])
