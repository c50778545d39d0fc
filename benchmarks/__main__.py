"""`python -m benchmarks`: each case with progress on stderr and JSON on stdout."""

import json
from pathlib import Path
from typing import Any, Final

import typer
import uvloop

from benchmarks import commits, sending
from benchmarks import faults as faults_case
from benchmarks import floor as floor_case
from benchmarks import freshness as freshness_case
from benchmarks import ingest as ingest_case
from benchmarks import read as read_case
from benchmarks import reads as reads_case
from benchmarks import recovery as recovery_case
from benchmarks import scale as scale_case
from benchmarks.compare import report
from benchmarks.compare import run as compare_case
from local.processes import LocalError, end_on_sigterm

LEAST: Final = "the least that Python can do, in Onhand's place"
REALTIME: Final = "real-time where permitted: what is measured, broker, who sends and asks"

RESULTS: Final = str(Path(__file__).parent / "results")

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@cli.command()
def ingest(
    events: int = typer.Option(500_000, help="records of the backlog"),
    lines: int = typer.Option(3, help="an event has one to so many lines"),
) -> None:
    """A backlog through both stages, one worker, four partitions."""
    _tell(ingest_case.run(events, lines))


@cli.command()
def floor(
    events: int = typer.Option(200_000, help="events"),
    lines: int = typer.Option(3, help="an event has one to so many lines"),
) -> None:
    """The stages in memory, and what of an event's CPU is library calls alone."""
    _tell(floor_case.run(events, lines))


@cli.command()
def read(
    rate: int = typer.Option(500, help="requests a second"),
    seconds: float = typer.Option(20.0, help="how long"),
    ingest: int = typer.Option(0, help="events a second that come in meanwhile"),
    least: bool = typer.Option(False, help=LEAST),
    realtime: bool = typer.Option(False, help=REALTIME),
) -> None:
    """Single keys over HTTP."""
    _tell(read_case.run(rate, seconds, ingest, least=least, realtime=realtime))


@cli.command(hidden=True)
def load(bootstrap: str, url: str, prefix: str, rate: int, prepared_seconds: float) -> None:
    """Send events at a steady rate, until ended."""
    uvloop.run(sending.until_ended(bootstrap, url, prefix, rate, prepared_seconds))


@cli.command()
def reads(
    seconds: float = typer.Option(5.0, help="how long each case is kept busy"),
    rounds: int = typer.Option(3, help="turns of each case; figures are medians"),
) -> None:
    """Reads a second, beside bare servers; memory and Redis; uvicorn and granian."""
    _tell(reads_case.run(seconds, rounds))


@cli.command()
def scale(
    events: int = typer.Option(1_000_000, help="records of each backlog"),
    few: bool = typer.Option(False, help="only small cases"),
) -> None:
    """CPU per event as partitions, workers and rows grow."""
    _tell(scale_case.run(events, scale_case.FEW if few else scale_case.CASES))


@cli.command()
def freshness(
    rates: str = typer.Option("1000,5000,10000", help="events a second, one after the other"),
    seconds: float = typer.Option(30.0, help="how long at each rate"),
    burst: int = typer.Option(500_000, help="events of one store, all at once"),
    rounds: int = typer.Option(1, help="each with a broker of its own; figures are medians"),
    least: bool = typer.Option(False, help=LEAST),
    realtime: bool = typer.Option(False, help=REALTIME),
) -> None:
    """From the producer's send until the row can be read over HTTP."""
    each = [int(rate) for rate in rates.split(",")]
    _tell(freshness_case.run(each, seconds, burst, rounds, least=least, realtime=realtime))


@cli.command()
def faults(
    rate: int = typer.Option(3_000, help="events a second"),
    kills: int = typer.Option(40, help="workers killed and started again at once"),
    long_kills: int = typer.Option(3, help="workers killed until the other has taken over"),
    freezes: int = typer.Option(5, help="workers frozen for longer than their session"),
    restarts: int = typer.Option(4, help="workers asked to end, and started again"),
    broker_kills: int = typer.Option(5, help="brokers killed and started again"),
) -> None:
    """Two workers under load while they and the broker die: pauses, and that nothing differs."""
    times = {
        "killed": kills,
        "killed_for_long": long_kills,
        "frozen": freezes,
        "restarted": restarts,
        "broker_killed": broker_kills,
    }
    _tell(faults_case.run(rate, times))


@cli.command()
def recovery(
    rows: int = typer.Option(1_000_000, help="rows of stock"),
    sold: int = typer.Option(0, max=1_440, help="sales of each row, which its history keeps"),
) -> None:
    """From the start of a process until it is ready, and memory per row."""
    _tell(recovery_case.run(rows, sold))


@cli.command("compare")
def compare_systems(
    events: int = typer.Option(1_500_000, help="records of the backlog"),
    rounds: int = typer.Option(3, help="runs of each system; figures are medians"),
    lines: int = typer.Option(3, help="an event has one to so many lines"),
    only: str = typer.Option("", help="only peers whose name has this"),
    results: str = typer.Option(RESULTS, help="folder for the table and the chart"),
) -> None:
    """Onhand beside plain Faust, Quix Streams, Kafka Streams and a bare aiokafka loop."""
    figures = compare_case.run(events, rounds, lines, only)
    report.write(figures, Path(results))
    _tell(figures)


@cli.command("compare-commits")
def compare_commits(
    base: str,
    events: int = typer.Option(200_000, help="records of each backlog"),
    rounds: int = typer.Option(4, help="pairs of runs; each commit is first by turns"),
) -> None:
    """CPU per event of the working tree against a commit."""
    _tell(commits.compare(base, events, rounds))


def _tell(figures: dict[str, Any]) -> None:
    typer.echo(json.dumps(figures))


if __name__ == "__main__":
    end_on_sigterm()
    try:
        cli()
    except LocalError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from error
