"""A Kafka to work with, by a ladder: a given one, Docker Compose, the real jars through Maven."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from local.processes import (
    ROOT,
    LocalError,
    Process,
    free_port,
    listens,
    scratch,
    started,
    wait_until,
)

VERSION: Final = "4.3.1"
START_SECONDS: Final = 60.0
MAVEN_SECONDS: Final = 600.0

_JVM: Final = (
    "-Xmx1g",
    "-Xms256m",
    # A broker that lives for minutes beside what it serves: little compiling, one collector.
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

_JARS: Final = ROOT / ".local" / f"kafka-{VERSION}"
_POM: Final = ROOT / "local" / "kafka-pom.xml"

_NOTHING: Final = (
    "no Kafka: set ONHAND_KAFKA to the bootstrap servers of one, "
    "or start a Docker engine, or install Java 17 or newer and Maven"
)


@contextmanager
def kafka() -> Iterator[str]:
    """Bootstrap servers of a running Kafka; what was started is stopped afterwards.

    Raises LocalError where there is no way to have one.
    """
    given = os.environ.get("ONHAND_KAFKA")
    if given:
        yield given
    elif docker_answers():
        with _by_compose() as bootstrap:
            yield bootstrap
    elif shutil.which("mvn") and _java_version() >= 17:
        with _by_jars() as bootstrap:
            yield bootstrap
    else:
        raise LocalError(_NOTHING)


def docker_answers() -> bool:
    """Whether a Docker engine runs here."""
    if shutil.which("docker") is None:
        return False
    asked = subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False)
    return asked.returncode == 0


def _java_version() -> int:
    if shutil.which("java") is None:
        return 0
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


# -- Docker Compose


@contextmanager
def _by_compose() -> Iterator[str]:
    port = free_port()
    compose = ["docker", "compose", "--project-name", f"onhand-{os.getpid()}"]
    environ = {**os.environ, "ONHAND_KAFKA_PORT": str(port)}
    try:
        up = [*compose, "up", "--detach", "--wait", "kafka"]
        done = subprocess.run(
            up, cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LocalError(f"docker compose could not start Kafka:\n{done.stderr}")
        yield f"127.0.0.1:{port}"
    finally:
        down = [*compose, "down", "--volumes"]
        subprocess.run(down, cwd=ROOT, env=environ, capture_output=True, check=False)


# -- the jars


@contextmanager
def _by_jars() -> Iterator[str]:
    classpath = f"{_jars()}/*"
    with scratch("kafka") as folder:
        port, controller = free_port(), free_port()
        properties = folder / "server.properties"
        properties.write_text(_properties(port, controller, folder / "logs"))
        _format(classpath, properties)
        process = Process("Kafka", _java(classpath, "kafka.Kafka", str(properties)), folder / "out")
        with started(process):
            wait_until(lambda: listens(port), START_SECONDS, "Kafka comes up", process)
            yield f"127.0.0.1:{port}"


def _jars() -> Path:
    """The folder of the jars, fetched once."""
    complete = _JARS / "complete"
    if complete.exists():
        return _JARS
    print(f"fetching Kafka {VERSION} through Maven (once)", flush=True)
    copy = ["mvn", "-B", "-q", "-f", str(_POM), "dependency:copy-dependencies"]
    try:
        done = subprocess.run(
            [*copy, f"-DoutputDirectory={_JARS}"],
            capture_output=True,
            text=True,
            timeout=MAVEN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LocalError(f"Maven did not fetch Kafka within {MAVEN_SECONDS:.0f} s") from error
    if done.returncode:
        raise LocalError(
            f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    complete.touch()
    return _JARS


def _java(classpath: str, *arguments: str) -> list[str]:
    return ["java", *_JVM, "-cp", classpath, *arguments]


def _format(classpath: str, properties: Path) -> None:
    identity = subprocess.run(
        _java(classpath, "kafka.tools.StorageTool", "random-uuid"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(
        _java(
            classpath, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(properties)
        ),
        capture_output=True,
        check=True,
    )


def _properties(port: int, controller: int, logs: Path) -> str:
    return "\n".join(
        [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"log.dirs={logs}",
            "auto.create.topics.enable=false",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=1000",
            "log.cleaner.backoff.ms=500",
            "offsets.topic.num.partitions=1",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "",
        ]
    )
