"""The demo, from an empty machine to a checked answer.

Settings by environment: DEMO_LINES (sales lines, 250000), DEMO_SECONDS (time the replay
takes, 100; 0 for as fast as it goes), ONCE=1 (end after the check), DEMO_SABOTAGE=1
(hide one sent event from the check, which must then fail).
"""

import asyncio
import json
import os
import shutil
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from examples.demo import check, day
from examples.demo.replay import Replay, paced
from examples.demo.watch import Watcher
from local.kafka import kafka
from local.lag import Lag, service_lag
from local.processes import LocalError, end_on_sigterm, scratch
from local.service import Service

SETTLE_SECONDS = 600
BURST = 50

console = Console(highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line of the story."""
    console.print(text)


async def main() -> int:
    """Run the demo; returns the exit code."""
    lines = int(os.environ.get("DEMO_LINES", "250000"))
    seconds = float(os.environ.get("DEMO_SECONDS", "100"))
    say(f"reading {lines:,} lines of real grocery sales ...")
    plan = day.make(lines)
    total = len(plan.opening) + len(plan.replay) + len(plan.withheld) + 1
    say(
        f"{plan.lines:,} sales lines of {plan.stores} stores in {total:,} events; opening counts, "
        "receipts, returns and reservations are synthesized with a fixed seed"
    )
    with scratch("demo") as folder, kafka() as bootstrap:
        service = Service(bootstrap, folder)
        with service:
            return await _run(plan, seconds, folder, service)


async def _run(plan: day.Day, seconds: float, folder: Path, service: Service) -> int:
    service.create_topics()
    service.start_worker()
    service.start_api()
    say(f"Kafka at {service.bootstrap}, a worker, and the HTTP front at {service.url} are up")
    record = folder / "sent.jsonl"
    watchers = _channels(service.url)
    async with Replay(service.bootstrap, record) as replay, service_lag(service.bootstrap) as lag:
        say(f"opening counts: {len(plan.opening):,} events")
        begun = time.monotonic()
        await paced(replay, plan.opening, 0)
        await lag.wait_for_none(SETTLE_SECONDS)
        rows = sum(len(one.event["data"]["lines"]) for one in plan.opening)
        say(f"  {rows:,} rows opened in {time.monotonic() - begun:.1f} s")
        await _replay(plan, seconds, replay, lag, watchers)
        await _outage(plan, service.url, replay, lag)
    await _caught_up(service.url)
    for watcher in watchers:
        say(f"channel {watcher.channel}: {watcher.changes:,} allocation changes came live by SSE")
    code = await _check(record, service.url)
    say(f"  sales lines: {plan.lines:,}")
    if os.environ.get("ONCE") == "1":
        return code
    await _stay(plan, service.url)
    return code


def _channels(url: str) -> list[Watcher]:
    watchers = []
    for rank, (channel, share, buffer) in enumerate((("web", 60, 0), ("marketplace", 40, 1))):
        rule = {"share": share, "buffer": buffer, "rank": rank}
        httpx.put(f"{url}/v1/channels/{channel}", json=rule).raise_for_status()
        watcher = Watcher(url, channel)
        watcher.start()
        watchers.append(watcher)
    say("channels: web has 60 % of every SKU, marketplace 40 % less one unit; both follow by SSE")
    return watchers


async def _replay(
    plan: day.Day, seconds: float, replay: Replay, lag: Lag, watchers: list[Watcher]
) -> None:
    first, last = plan.replay[0].at, plan.replay[-1].at
    say(f"replay: {len(plan.replay):,} events from {first:%d %b} to {last:%d %b %Y}")
    before = replay.sent
    begun = time.monotonic()
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} events"),
        TextColumn("{task.fields[rate]:,.0f}/s, lag {task.fields[lag]:,} records"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("replay", total=len(plan.replay), rate=0.0, lag=0)
        sending = asyncio.create_task(paced(replay, plan.replay, seconds))
        told = time.monotonic()
        while not sending.done():
            await asyncio.sleep(0.5)
            done = replay.sent - before
            rate, behind = done / (time.monotonic() - begun), await lag.records()
            progress.update(bar, completed=done, rate=rate, lag=behind)
            if not console.is_terminal and time.monotonic() - told > 10:
                told = time.monotonic()
                changes = sum(watcher.changes for watcher in watchers)
                say(f"  {done:,} events, {rate:,.0f}/s, lag {behind:,}, {changes:,} allocations")
        await sending
        await lag.wait_for_none(SETTLE_SECONDS)
        took = time.monotonic() - begun
        progress.update(bar, completed=len(plan.replay), rate=len(plan.replay) / took, lag=0)
    say(f"  {len(plan.replay):,} events in {took:.1f} s, nothing left to absorb")


async def _outage(plan: day.Day, url: str, replay: Replay, lag: Lag) -> None:
    *missing, last = plan.withheld
    sku, location = plan.watched
    say(f"outage: store {location} lost its line, {len(missing)} baskets of six hours are missing")
    await replay.send(last)
    await replay.flush()
    await lag.wait_for_none(SETTLE_SECONDS)
    await _caught_up(url)
    async with httpx.AsyncClient(base_url=url) as client:
        source = (await client.get(f"/v1/sources/{plan.outage_store}")).json()
        answer = (await client.get(f"/v1/availability/{sku}/{location}")).json()
        epoch = source["epochs"][0]
        since = datetime.fromisoformat(epoch["gaps_since"][0])
        age = (datetime.now(UTC) - since).total_seconds()
        say(f"  its next sale arrives: gaps {epoch['gaps']}, open for {age:.1f} s")
        say(f"  SKU {sku} there: on hand {answer['on_hand']}, answer says gaps: {answer['gaps']}")
        await _burst(missing, replay)
        await lag.wait_for_none(SETTLE_SECONDS)
        await _caught_up(url)
        source = (await client.get(f"/v1/sources/{plan.outage_store}")).json()
        answer = (await client.get(f"/v1/availability/{sku}/{location}")).json()
        gaps = source["epochs"][0]["gaps"]
        say(f"  the burst arrives: gaps {gaps}, {source['duplicates']} duplicates recognized")
        say(f"  SKU {sku} there: on hand {answer['on_hand']}, gaps: {answer['gaps']}")
        await replay.send(plan.returned)
        await replay.flush()
        await lag.wait_for_none(SETTLE_SECONDS)
        await _caught_up(url)
        await _explain(client, sku, location)


async def _explain(client: httpx.AsyncClient, sku: str, location: str) -> None:
    """Why the number is what it is: the count, and every entry since."""
    answer = await client.get(f"/v1/availability/{sku}/{location}/explain?limit=12")
    answer.raise_for_status()
    why = answer.json()
    base, total = why["base"], why["sum"]
    say(f"why is it {why['on_hand']} units of SKU {sku} at store {location} now?")
    say(f"  {base['happened_at']}  counted {base['counted']} by {base['source']}")
    if why["summed_up"]:
        earlier = why["start"] - base["counted"]
        say(f"  {'earlier':20}  {earlier:+d}  {why['summed_up']} entries, /explain lists them")
    for entry in why["entries"]:
        change = entry["deltas"].get("on_hand", 0)
        who = f"{entry['source']} #{entry['sequence']}"
        say(f"  {entry['happened_at']}  {change:+d}  {entry['kind']} of {who}, {entry['arrival']}")
    say(f"  {total['start']} {total['deltas']:+d} = {total['on_hand']}, the answer's own number")


async def _burst(missing: list[day.Sent], replay: Replay) -> None:
    """The store's backlog in arrays, and a third of it once more."""
    again = missing[: (len(missing) + 2) // 3]
    for events in (missing, again):
        for start in range(0, len(events), BURST):
            await replay.send_array(events[start : start + BURST])
    await replay.flush()


async def _caught_up(url: str) -> None:
    """Wait until the front's view has matched the log's end after now."""
    now = time.time()
    async with httpx.AsyncClient(base_url=url) as client, asyncio.timeout(SETTLE_SECONDS):
        while True:
            answer = await client.post("/v1/availability/query", json={"items": []})
            lag = answer.headers.get("X-Onhand-Lag-Ms")
            if lag is not None and time.time() - int(lag) / 1000 > now:
                return
            await asyncio.sleep(0.02)


async def _check(record: Path, url: str) -> int:
    """The plain sum against every row; its last line and exit code are the verdict."""
    if os.environ.get("DEMO_SABOTAGE") == "1":
        record = _sabotaged(record)
    say("check: every bucket of every row over HTTP, against a plain sum of what was sent")
    command = [sys.executable, check.__file__, str(record), url]
    # In a session of its own, so that Ctrl-C ends it through the demo only.
    checking = await asyncio.create_subprocess_exec(
        *command, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        told, _ = await checking.communicate()
    except asyncio.CancelledError:
        checking.kill()
        await checking.wait()
        raise
    print(told.decode(), end="", flush=True)
    return await checking.wait()


def _sabotaged(record: Path) -> Path:
    copy = record.with_name("sabotaged.jsonl")
    shutil.copy(record, copy)
    lines = copy.read_text().splitlines()
    kinds = (json.loads(line)["event"]["type"] for line in lines)
    place = next(place for place, kind in enumerate(kinds) if kind == "pos.sale.completed.v1")
    say("sabotage: one sale is hidden from the check")
    copy.write_text("\n".join(lines[:place] + lines[place + 1 :]) + "\n")
    return copy


async def _stay(plan: day.Day, url: str) -> None:
    sku, location = plan.watched
    say("\nup until Ctrl-C:")
    for path in (
        f"/v1/availability/{sku}/{location}",
        f"/v1/availability/{sku}/{location}/explain",
        f"/v1/availability/{sku}",
        f"/v1/sources/{plan.outage_store}",
        "/v1/exceptions",
        "/v1/channels/web/allocations?limit=5",
        "/v1/channels/marketplace/stream",
        "/docs",
    ):
        say(f"  {url}{path}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_on_sigterm()
    try:
        raise SystemExit(asyncio.run(main()))
    except LocalError as error:
        console.print(f"[red]error:[/] {error}", style=None)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
