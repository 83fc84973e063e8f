"""A made-up trace of hours, imported, and a small rental world on it."""

from __future__ import annotations

from pathlib import Path

from emulator.model.streams import Stream
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces

CELLS, SLOTS, SLOT_S = 4, 24, 3600.0
PLAYED = (4, 10)
SCENARIO = f"""
name = "traced"
world = "rental"
slot_s = {SLOT_S}
frames = 9
[edges]
count = {CELLS}
[agent]
policy = "greedy-rule"
[rental.users]
cells = 2
[rental.demand]
kind = "trace"
path = "demand"
slots = {list(PLAYED)}
[deadlines]
stop_s = 0.05
liveliness_s = 60.0
hub_s = 60.0
"""


def traced_world(folder: Path) -> Path:
    """Import the trace into a folder and put the scenario beside it; returns the scenario's file."""
    drawn = Stream(1, "/trace", "counts", draws=SLOTS * CELLS).uniforms(0)[0].reshape(SLOTS, CELLS)
    rows = [f"{slot},{','.join(f'{value:.0f}' for value in 100 * row)}" for slot, row in enumerate(drawn)]
    trace = folder / "trace.csv"
    trace.write_text("\n".join(["slot,c00,c01,c02,c03", *rows]) + "\n")
    import_traces(Request((trace,), folder / "demand", Options(slot_s=SLOT_S)))
    scenario = folder / "traced.toml"
    scenario.write_text(SCENARIO)
    return scenario
