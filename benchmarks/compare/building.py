"""What peers need that is not ours: a Java program to compile, an environment for Quix Streams."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local.processes import ROOT, LocalError

_PEERS: Final = ROOT / "benchmarks" / "peers"
_JAVA_SOURCES: Final = _PEERS / "kafka_streams"
_JAVA_TARGET: Final = ROOT / ".local" / "kafka-streams-peer"
_QUIX_LOCK: Final = _PEERS / "quix.lock"
_QUIX_TARGET: Final = ROOT / ".local" / "quix-peer"
_JVM: Final = (
    "-Xms1g",
    "-Xmx4g",
    # As workers of ours ask for them.
    "-XX:+UseTransparentHugePages",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
)


def java_peer() -> Sequence[str]:
    """The command of the Kafka Streams peer, compiled where its sources are newer.

    Raises LocalError where Java or Maven is missing, or where the build fails.
    """
    sources = [*_JAVA_SOURCES.rglob("*.java"), _JAVA_SOURCES / "pom.xml"]
    if not _is_done(_JAVA_TARGET, sources):
        if shutil.which("mvn") is None or shutil.which("java") is None:
            raise LocalError("the comparison needs Java 17 or newer and Maven")
        target = f"-Dpeer.target={_JAVA_TARGET}"
        pom = str(_JAVA_SOURCES / "pom.xml")
        goals = ("compile", "dependency:copy-dependencies", "-DincludeScope=runtime")
        _run("compiling the Kafka Streams peer", ["mvn", "-B", "-q", "-f", pom, target, *goals])
        _done(_JAVA_TARGET)
    classpath = f"{_JAVA_TARGET}/classes:{_JAVA_TARGET}/dependency/*"
    return ["java", *_JVM, "-cp", classpath, "onhand.peer.Peer"]


def quix_peer() -> Sequence[str]:
    """The command of the Quix Streams peer, in an environment of its own.

    Its pins do not agree with ours. Raises LocalError where it can't be installed.
    """
    interpreter = _QUIX_TARGET / "bin" / "python"
    if not _is_done(_QUIX_TARGET, [_QUIX_LOCK]):
        venv.create(_QUIX_TARGET, with_pip=True, clear=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        lock = ["--require-hashes", "--requirement", str(_QUIX_LOCK)]
        _run("installing Quix Streams", [str(interpreter), *install, *lock])
        _done(_QUIX_TARGET)
    return [str(interpreter), "-m", "benchmarks.peers.quix"]


def _is_done(target: Path, sources: list[Path]) -> bool:
    complete = target / "complete"
    newest = max(source.stat().st_mtime for source in sources)
    return complete.exists() and complete.stat().st_mtime >= newest


def _done(target: Path) -> None:
    (target / "complete").touch()


def _run(what: str, command: list[str]) -> None:
    print(f"{what} (once)", file=sys.stderr, flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LocalError(f"{what} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
