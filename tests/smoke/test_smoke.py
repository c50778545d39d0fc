"""The demo, the benchmarks and the examples run, small, as a user would start them."""

import json
import os
import re
import signal
import subprocess
import threading
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from local.processes import ROOT, python, wait_until


def run(arguments, bootstrap=None, seconds=300, **environ):
    return subprocess.run(
        python(*arguments),
        cwd=ROOT,
        env={**os.environ, **({"ONHAND_KAFKA": bootstrap} if bootstrap else {}), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


FEW_FAULTS = ["faults", "--rate", "200", "--kills", "1", "--long-kills", "0"]
FEW_FAULTS += ["--freezes", "0", "--restarts", "1", "--broker-kills", "1"]
SMALL = {"ONCE": "1", "DEMO_LINES": "20000", "DEMO_SECONDS": "4"}


def test_the_demo_adds_up():
    done = run(["examples.demo"], **SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    (rows,) = re.findall(r"conservation: 0 of (\d+) rows differ", done.stdout)
    assert int(rows) > 10_000
    assert "gaps []" in done.stdout


def test_the_demo_fails_where_one_event_is_hidden_from_its_check():
    done = run(["examples.demo"], DEMO_SABOTAGE="1", **SMALL)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"conservation: [1-9]\d* of \d+ rows differ", done.stdout)


def checks(demo):
    """Whether the demo's check has been at work for a while."""
    with suppress(psutil.NoSuchProcess):
        for one in psutil.Process(demo).children():
            if "check.py" in " ".join(one.cmdline()):
                return one.cpu_times().user > 0.1
    return False


@contextmanager
def heeding_interrupts():
    """What is started meanwhile does, though whoever is started in the background ignores them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@heeding_interrupts()
def test_the_demo_ends_in_a_line_where_it_is_interrupted_while_it_checks():
    demo = subprocess.Popen(
        python("examples.demo"),
        cwd=ROOT,
        env={**os.environ, **SMALL, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    give_up = threading.Timer(300, demo.kill)
    give_up.start()
    with demo, ExitStack() as stack:
        stack.callback(give_up.cancel)
        for line in demo.stdout:
            if line.startswith("check:"):
                wait_until(lambda: checks(demo.pid), 30, "the check runs")
                os.killpg(demo.pid, signal.SIGINT)
                break
        told = demo.stdout.read()
    assert demo.returncode == 130, told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (
            ["ingest", "--events", "5000"],
            {"case", "events", "events_per_second", "cpu_us_per_event", "digest"},
        ),
        (["read", "--rate", "100", "--seconds", "2"], {"case", "requests", "p50_ms", "p99_ms"}),
        (
            ["read", "--rate", "50", "--seconds", "2", "--ingest", "200"],
            {"ingested_per_second", "p99_ms", "bare_asgi"},
        ),
        (
            ["read", "--least", "--realtime", "--rate", "50", "--seconds", "2", "--ingest", "200"],
            {"system", "realtime", "not_200", "p99_ms", "bare_asgi"},
        ),
        (
            ["reads", "--seconds", "0.5", "--rounds", "1"],
            {"ratio_to_starlette", "granian_to_uvicorn", "cases"},
        ),
        (["floor", "--events", "5000"], {"stages_us_per_event", "library_us_per_event"}),
        (FEW_FAULTS, {"rows_that_differ", "pauses"}),
        (
            ["scale", "--events", "4000", "--few"],
            {"cases"},
        ),
        (
            ["recovery", "--rows", "5000", "--sold", "2"],
            {"worker_seconds", "front_seconds", "worker_bytes_per_row", "front_bytes_per_row"},
        ),
        (
            ["freshness", "--realtime", "--rates", "200", "--seconds", "2", "--burst", "2000"],
            {"at_200_per_second", "during_first_burst", "during_burst"},
        ),
        (
            ["freshness", "--least", "--rates", "200", "--seconds", "2", "--burst", "2000"],
            {"at_200_per_second", "during_first_burst", "during_burst"},
        ),
    ],
)
def test_a_benchmark_ends_with_one_json_object(arguments, fields):
    done = run(["benchmarks", *arguments])
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert fields <= set(figures)
    assert figures.get("not_200", 0) == 0


def test_the_peers_come_to_the_same_sums(tmp_path):
    few = ["--events", "4000", "--rounds", "1", "--results", str(tmp_path)]
    done = run(["benchmarks", "compare", *few], seconds=900)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    systems = {case["case"].split()[0] for case in figures["cases"]}
    assert systems == {"Onhand", "aiokafka", "Faust", "Kafka", "Quix"}
    assert {"compare.json", "compare.md", "compare.svg"} == {one.name for one in tmp_path.iterdir()}
    for name in ("ratio_to_kafka_streams", "ratio_to_quix", "ratio_to_faust", "share_of_ceiling"):
        assert figures[name] > 0


def test_a_missing_kafka_is_said_in_one_line():
    for arguments in (["streams", "topics"], ["streams", "worker"], ["api"]):
        done = run(arguments, bootstrap="127.0.0.1:1", ONHAND_CONNECT_SECONDS="0")
        assert done.returncode == 1
        assert "error: no Kafka answers at 127.0.0.1:1" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_worker_without_topics_says_what_to_run(bootstrap):
    done = run(["streams", "worker"], bootstrap=bootstrap, ONHAND_PREFIX="nowhere.")
    assert done.returncode == 1
    assert "run `python -m streams topics` first" in done.stderr
