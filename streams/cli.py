"""What `python -m streams` does: topics, worker, digest, replay, migrate, rebuild."""

import asyncio
import json
import logging
import sys
import zoneinfo
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import faust
import typer
import uvloop
from aiokafka.errors import KafkaConnectionError

from runtime import memory
from runtime.garbage import collect_seldom
from streams import digest as digests
from streams import migration, topics
from streams import rebuild as rebuilding
from streams import replay as replays
from streams.app import create_app
from streams.connecting import wait_for_kafka
from streams.engine.pressure import Pressure
from streams.errors import StreamsError
from streams.settings import Settings
from streams.supervisor import supervise

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

T = TypeVar("T")

SWITCH_SECONDS: Final = 0.0001
"""A helper waits so long for the interpreter, and a step for the batch that it compresses."""

_NOISY = ("aiokafka", "faust", "asyncio")


@cli.command("topics")
def create_topics() -> None:
    """Create every topic with its configuration; what exists is left as it is."""
    made = _run(topics.create, Settings())
    for name, what in made.items():
        typer.echo(f"{what:8} {name}")


@cli.command()
def worker() -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    settings = Settings()
    _run(wait_for_kafka, settings)
    run = partial(_run_stages, settings, Pressure())
    raise SystemExit(supervise(run, settings.shutdown_seconds))


def _run_stages(settings: Settings, pressure: Pressure, names: Sequence[str]) -> None:
    """Run some stages in this process, which ends with them."""
    # aiokafka formats a log line per request unless its loggers are above it.
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    collect_seldom()
    sys.setswitchinterval(SWITCH_SECONDS)
    memory.keep_for_reuse()
    uvloop.install()
    # A rerun on another machine must resolve local times the same: the packaged zones only.
    zoneinfo.reset_tzpath(())
    app = create_app(settings, names, pressure)
    faust.Worker(app, loglevel=settings.log_level, quiet=True).execute_from_commandline()


@cli.command()
def digest(
    replay: bool = typer.Option(False, help="replay inventory.movements instead of reading state"),
) -> None:
    """Print a digest of the inventory's state: of its changelog, or of a replay of its input."""
    typer.echo(json.dumps(_run(digests.of_replay if replay else digests.of_state, Settings())))


@cli.command()
def migrate(
    prefix: str = typer.Option(..., help="of the topics to move to; they must be empty or missing"),
    partitions: int = typer.Option(..., min=1, max=1024, help="partitions of each of them"),
) -> None:
    """Move to another number of partitions: drain, stop all workers, migrate, start anew."""
    moved = _run(lambda settings: migration.migrate(settings, prefix, partitions), Settings())
    typer.echo(json.dumps(moved))


@cli.command()
def rebuild() -> None:
    """Make the state anew from the logs, where a worker refuses it; stop all workers first."""
    typer.echo(json.dumps(_run(rebuilding.rebuild, Settings())))


@cli.command()
def replay(
    code: str | None = typer.Option(None, help="only letters of this code"),
    source: str | None = typer.Option(None, help="only letters of this source or reservation"),
) -> None:
    """Append the originals of dead letters again; what was taken meanwhile is not taken twice."""
    wanted = replays.Wanted(code, source)
    number = _run(lambda settings: replays.replay(settings, wanted), Settings())
    typer.echo(f"{number} appended again")


def _run(work: Callable[[Settings], Coroutine[Any, Any, T]], settings: Settings) -> T:
    """Run a command's work; what a user can mend is said in a line, with exit code 1."""
    try:
        return asyncio.run(work(settings))
    except StreamsError as error:
        typer.echo(f"error: {error}", err=True)
    except KafkaConnectionError:
        typer.echo(f"error: no Kafka answers at {settings.kafka} (ONHAND_KAFKA)", err=True)
    raise typer.Exit(1)
