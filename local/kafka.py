"""A Kafka to work with, by a ladder: a given one, Docker Compose, the real jars through Maven."""

import os
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from local.processes import (
    ROOT,
    LocalError,
    Process,
    free_port,
    listens,
    scratch,
    wait_until,
)
from local.realtime import have_come_first

VERSION: Final = "4.3.1"
START_SECONDS: Final = 60.0
MAVEN_SECONDS: Final = 600.0

_JVM: Final = (
    # A broker beside what it serves, on few processors: no collector that runs beside it too.
    # With two threads it stops the broker for 6 ms every five seconds, with one for 13.
    "-XX:+UseParallelGC",
    "-XX:ParallelGCThreads=2",
    # A twentieth less of the processors: a virtual machine looks each small page up twice.
    "-XX:+UseTransparentHugePages",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)

_JARS: Final = ROOT / ".local" / f"kafka-{VERSION}"
_POM: Final = ROOT / "local" / "kafka-pom.xml"

FLUSH_MS: Final = 1_000
"""How often a log is written to disk.

Left to Linux, all that is half a minute old is written at once, and appends wait meanwhile.
"""

SESSION_MS: Final = 3_000
"""After how long without a sign a broker counts as gone.

Until then one that was killed and is started again may not register: with Kafka's nine seconds it
is back after twelve to thirteen.
"""

_NOTHING: Final = (
    "no Kafka: set ONHAND_KAFKA to the bootstrap servers of one, "
    "or start a Docker engine, or install Java 17 or newer and Maven"
)


@contextmanager
def kafka(*, realtime: bool = False) -> Iterator[str]:
    """Bootstrap servers of a running Kafka; what was started is stopped afterwards.

    With `realtime`, a JVM of ours is real-time, where that is permitted: in place of one that has
    a machine of its own.

    Raises LocalError where there is no way to have one.
    """
    given = os.environ.get("ONHAND_KAFKA")
    if given:
        yield given
    elif docker_answers():
        with _by_compose() as bootstrap:
            yield bootstrap
    elif jars_can_run():
        with _by_jars(realtime=realtime) as bootstrap:
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
def _by_jars(*, realtime: bool) -> Iterator[str]:
    with brokers(1, realtime=realtime) as (broker,):
        yield broker.bootstrap


@contextmanager
def brokers(
    number: int, heap: str = "1g", *, realtime: bool = False, folder: Path | None = None
) -> Iterator[list["Broker"]]:
    """Running brokers of one cluster, each a JVM of ours; stopped afterwards.

    Their logs are in `folder`, or one that is removed afterwards.

    Raises LocalError where Java or Maven is missing, or one does not come up.
    """
    if not jars_can_run():
        raise LocalError("a Kafka of our own needs Java 17 or newer and Maven")
    classpath = f"{_jars()}/*"
    with ExitStack() as stack:
        folder = folder or stack.enter_context(scratch("kafka"))
        identity = _java_says(classpath, "kafka.tools.StorageTool", "random-uuid")
        ports = [(free_port(), free_port()) for _ in range(number)]
        made = [
            Broker(node, ports, folder, classpath, heap, realtime=realtime)
            for node in range(number)
        ]
        for broker in made:
            broker.format(identity)
            broker.launch()
            stack.callback(broker.stop)
        for broker in made:
            broker.wait()
        yield made


class Broker:
    """A broker and controller in a JVM of its own, which may fail in every way."""

    def __init__(
        self,
        node: int,
        ports: list[tuple[int, int]],
        folder: Path,
        classpath: str,
        heap: str,
        *,
        realtime: bool = False,
    ) -> None:
        """`ports` are those of brokers and controllers, by node."""
        self._port = ports[node][0]
        self._properties = folder / f"server-{node}.properties"
        self._properties.write_text(_properties(node, ports, folder / f"logs-{node}"))
        self._classpath = classpath
        self._output = folder / f"out-{node}"
        self._command = _java(classpath, "kafka.Kafka", str(self._properties), heap=heap)
        self._realtime = realtime
        self._process: Process | None = None

    @property
    def bootstrap(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.running

    def format(self, identity: str) -> None:
        """Make its log folder, once."""
        properties = str(self._properties)
        tool = "kafka.tools.StorageTool"
        _java_says(self._classpath, tool, "format", "-t", identity, "-c", properties)

    def launch(self) -> None:
        """Start it; `wait` waits until it listens."""
        self._process = Process("Kafka", self._command, self._output)

    def wait(self) -> None:
        """Wait until it listens. Raises LocalError."""
        wait_until(lambda: listens(self._port), START_SECONDS, "Kafka comes up", self._process)
        if self._realtime:
            have_come_first(self._running().pid)

    def start(self) -> None:
        """Start it and wait."""
        self.launch()
        self.wait()

    def _running(self) -> Process:
        if self._process is None:
            raise LocalError("this Kafka was never started")
        return self._process

    def kill(self) -> None:
        """End it as a crash would."""
        self._running().kill()

    def freeze(self) -> None:
        """Stop it where it stands."""
        os.kill(self._running().pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        os.kill(self._running().pid, signal.SIGCONT)

    def limit_files(self, limit: int) -> None:
        """From now on no file of its may grow past `limit` bytes, as on a disk that is full."""
        resource.prlimit(self._running().pid, resource.RLIMIT_FSIZE, (limit, limit))

    def stop(self) -> None:
        """Ask it to end."""
        if self.running:
            self.wake()
            self._running().stop()


def jars_can_run() -> bool:
    """Whether this machine can run brokers of our own."""
    return shutil.which("mvn") is not None and _java_version() >= 17


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


def _java(classpath: str, *arguments: str, heap: str = "1g") -> list[str]:
    # All of it from the start, as Kafka's own scripts have it: one that grows from little is
    # collected ten times as often, and stops everyone meanwhile.
    sizes = [f"-Xms{heap}", f"-Xmx{heap}"]
    return ["java", *sizes, *_JVM, "-cp", classpath, *arguments]


def _java_says(classpath: str, *arguments: str) -> str:
    command = _java(classpath, *arguments)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _properties(node: int, ports: list[tuple[int, int]], logs: Path) -> str:
    port, controller = ports[node]
    voters = ",".join(f"{one}@127.0.0.1:{its}" for one, (_, its) in enumerate(ports))
    replicas = min(3, len(ports))
    return "\n".join(
        [
            "process.roles=broker,controller",
            f"node.id={node}",
            f"controller.quorum.voters={voters}",
            f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}",
            "controller.listener.names=CONTROLLER",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            f"log.dirs={logs}",
            "auto.create.topics.enable=false",
            "group.initial.rebalance.delay.ms=0",
            "group.min.session.timeout.ms=1000",
            f"broker.session.timeout.ms={SESSION_MS}",
            f"broker.heartbeat.interval.ms={SESSION_MS // 6}",
            "log.cleaner.backoff.ms=500",
            f"log.flush.interval.ms={FLUSH_MS}",
            f"log.flush.scheduler.interval.ms={FLUSH_MS}",
            "offsets.topic.num.partitions=1",
            f"offsets.topic.replication.factor={replicas}",
            f"transaction.state.log.replication.factor={replicas}",
            f"transaction.state.log.min.isr={(replicas + 1) // 2}",
            "",
        ]
    )
