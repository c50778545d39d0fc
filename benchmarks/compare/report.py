"""A run of the comparison as files: figures, a table, a chart."""

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

_HEAD: Final = (
    "| system | version | events/s | of rounds | CPU per event, µs | peak memory, MiB |\n"
    "|---|---|---:|---|---:|---:|\n"
)


def write(figures: dict[str, Any], folder: Path) -> None:
    """Write `compare.json`, `compare.md` and `compare.svg` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.json").write_text(json.dumps(figures, indent=2) + "\n")
    (folder / "compare.md").write_text(_table(figures))
    _chart(figures, folder / "compare.svg")


def _table(figures: dict[str, Any]) -> str:
    told = (
        f"{figures['events']:,} events with {figures['lines']:,} lines that count, "
        f"{figures['rows']:,} rows, {figures['rounds']} rounds, medians.\n\n"
    )
    rows = "".join(
        f"| {case['case']} | {case['version']} | {case['events_per_second']:,} "
        f"| {', '.join(f'{one:,}' for one in case['of_rounds'])} "
        f"| {case['cpu_us_per_event']} | {case['peak_mib']:,} |\n"
        for case in _fastest_first(figures)
    )
    ratios = "".join(
        f"- `{name}`: {value}\n"
        for name, value in figures.items()
        if name.startswith(("ratio_", "share_"))
    )
    return f"{told}{_HEAD}{rows}\n{ratios}"


def _chart(figures: dict[str, Any], path: Path) -> None:
    cases = list(reversed(_fastest_first(figures)))
    figure, axes = plt.subplots(figsize=(9, 0.45 * len(cases) + 1.2))
    rates = [case["events_per_second"] for case in cases]
    colors = ["#d95f02" if case["case"] == "Onhand" else "#7570b3" for case in cases]
    bars = axes.barh([case["case"] for case in cases], rates, color=colors)
    axes.bar_label(bars, [f"{rate:,}" for rate in rates], padding=4)
    axes.set_xlabel("events per second, two stages, one worker, broker on the same machine")
    axes.margins(x=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _fastest_first(figures: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = figures["cases"]
    return sorted(found, key=lambda case: -int(case["events_per_second"]))
