"""Real demand: 25 squares of Milan ask for 20 functions; agents learn from days 1 to 20, days 26 to 30 count.

Cells and services were not measured together (``docs/traces.md``); sizes and cycles of the services are drawn by the
seed, as in the synthetic worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from agents.claims import Scheme
from agents.errors import AgentError
from agents.sweep_plot import COLOURS, finish, plain, pyplot
from agents.ttosc.reproduction.measuring import Result
from agents.ttosc.reproduction.plan import CLOUD_ONLY, SCHEMES, Effort, Measurement
from emulator.model.offloading import Floats
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces

TRACES: Final = ("milan_internet", "azure_functions")
SLOT_S: Final = 600.0
FRAMES_A_DAY: Final = 24
LEARNED_DAYS, FIRST_DAY, LAST_DAY = 20, 26, 30
SMOOTHED_FRAMES: Final = 6

SCENARIO: Final = """name = "milan"
description = "thirty days of real demand on 25 edge servers"
frames = 720          # hours
slots_per_frame = 6
slot_s = 600.0

[edges]
count = 25

[services]
count = 20

[demand]
kind = "trace"
path = "demand"
"""


def prepared(data: Path, folder: Path) -> Path:
    """The scenario of the thirty days; imports the traces if that is not done yet.

    Args:
        data: Holds the folders of both traces.
        folder: Where demand and scenario go.
    Returns: The scenario's file.
    Raises: AgentError: a trace is missing; TraceError: one cannot be imported.
    """
    scenario = folder / "milan.toml"
    if scenario.exists():
        return scenario
    absent = [name for name in TRACES if not (data / name).is_dir()]
    if absent:
        raise AgentError(f"{data}: has no folder {' and no '.join(absent)}; docs/traces.md says where to get them")
    options = Options(slot_s=SLOT_S, scale=0.058, rounding="poisson", seed=1, top=20, rest="drop")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "demand").exists():
        import_traces(Request(tuple(data / name for name in TRACES), folder / "demand", options))
    scenario.write_text(SCENARIO, encoding="utf-8")
    return scenario


def measurements(scenario: Path, scheme: Scheme, effort: Effort) -> list[Measurement]:
    """What is measured of a scheme, a measurement a seed."""
    days = LAST_DAY - FIRST_DAY + 1
    learned = min(LEARNED_DAYS * FRAMES_A_DAY, effort.learning_frames[scheme.learns]) if scheme.learns else 0
    first = (FIRST_DAY - 1) * FRAMES_A_DAY
    return [
        Measurement((), scheme, seed, learned, days * FRAMES_A_DAY, first, str(scenario))
        for seed in range(1, effort.learning_seeds + 1)
    ]


def paired(results: dict[Scheme, list[Result | None]]) -> dict[Scheme, list[Result | None]]:
    """Results of those seeds only that every scheme has which was measured at all; the others would not compare."""
    there = {scheme: own for scheme, own in results.items() if any(result is not None for result in own)}
    shared = [column for column in zip(*there.values(), strict=True) if None not in column]
    return dict(zip(there, map(list, zip(*shared, strict=True)), strict=True)) if shared else {}


def draw_days(path: Path, results: dict[Scheme, list[Result | None]]) -> None:
    """Draw the delay hour by hour, mean over seeds, smoothed over six hours; without the cloud, which is far above."""
    plt = pyplot()
    figure, place = plt.subplots(figsize=(9.0, 5.0), layout="constrained")
    for scheme, own in results.items():
        hours = by_hour(own)
        if scheme == CLOUD_ONLY or not len(hours):
            continue
        smooth = np.convolve(hours, np.ones(SMOOTHED_FRAMES) / SMOOTHED_FRAMES, "valid")
        days = FIRST_DAY + (np.arange(len(smooth)) + 0.5 * SMOOTHED_FRAMES) / FRAMES_A_DAY
        colour = COLOURS[SCHEMES.index(scheme) % len(COLOURS)]
        place.plot(days, smooth, color=colour, label=scheme.name, linewidth=1.5)
    place.set_ylim(bottom=0.0)
    place.set_ylabel("mean delay, s per task")
    plain(place, "day")
    finish(plt, figure, place, path, "Real demand: Milan x Azure, 25 edge servers, means of six hours")


def by_hour(results: Sequence[Result | None]) -> Floats:
    """Delay of every frame that counts, mean over seeds, shape (frame,)."""
    found = [result.delays_s for result in results if result is not None]
    return np.mean(found, axis=0) if found else np.zeros(0)
