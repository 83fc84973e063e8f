"""Mass is conserved whatever comes in, and drawn tasks stay near it."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.traces import load_demand
from emulator.traces_convert import Options
from emulator.traces_import import Request, import_traces
from emulator.traces_round import round_nearest, round_poisson

COUNTS = st.floats(0.0, 1e4, allow_subnormal=False).map(lambda value: round(value, 3))


@st.composite
def wide(draw: st.DrawFn, prefix: str) -> str:
    columns, rows = draw(st.integers(1, 4)), draw(st.integers(2, 12))
    header = "minute," + ",".join(f"{prefix}{i}" for i in range(columns))
    body = [[draw(COUNTS) for _ in range(columns)] for _ in range(rows)]
    body[0][0] = 1.0  # some demand in the first slot, so that no window is empty
    return "\n".join([header, *(f"{i}," + ",".join(map(repr, row)) for i, row in enumerate(body))]) + "\n"


def options() -> st.SearchStrategy[Options]:
    return st.builds(
        Options,
        slot_s=st.sampled_from([60.0, 120.0]),
        scale=st.floats(0.01, 100.0),
        rounding=st.sampled_from(["nearest", "poisson"]),
        seed=st.integers(0, 2**63 - 1),
        top=st.none() | st.integers(1, 5),
        rest=st.sampled_from(["other", "drop"]),
        slots=st.sampled_from([None, (0, 1)]),
    )


def check_account(contents: list[str], chosen: Options) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"trace{i}.csv" for i in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        mass = import_traces(Request(tuple(paths), Path(folder) / "out", chosen))["mass"]
        drawn = int(load_demand(Path(folder) / "out").tasks.sum())
    assert math.isclose(mass["in"] * chosen.scale, mass["out"] + sum(mass["dropped"].values()), rel_tol=1e-9)
    assert drawn == mass["tasks"]
    assert abs(drawn - mass["out"]) <= (
        0.5 + 1e-6 * mass["out"] if chosen.rounding == "nearest" else 6.0 * math.sqrt(mass["out"]) + 6.0
    )


@given(wide("c"), options())
@settings(max_examples=40, deadline=None)
def test_mass_in_times_scale_is_mass_out_and_dropped_for_one_trace(content: str, chosen: Options) -> None:
    check_account([content], chosen)


@given(wide("c"), wide("f"), options())
@settings(max_examples=40, deadline=None)
def test_mass_in_times_scale_is_mass_out_and_dropped_for_a_product(cells: str, services: str, chosen: Options) -> None:
    check_account([cells, services], chosen)


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5), st.floats(1e-3, 1e5), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_tasks_rounded_to_nearest_stay_within_one_of_every_cell_and_service(
    slots: int, cells: int, services: int, level: float, seed: int
) -> None:
    mass = np.random.default_rng(seed).exponential(level, (slots, cells, services))
    tasks = round_nearest(mass)
    assert abs(float(tasks.sum()) - mass.sum()) <= 0.5 + 1e-9 * mass.sum()
    assert (np.abs(tasks.sum(axis=0) - mass.sum(axis=0)) <= 1.0 + 1e-9 * mass.sum()).all()


@given(st.integers(0, 2**63 - 1))
@settings(max_examples=40, deadline=None)
def test_poisson_draws_stay_within_five_square_roots_of_their_mass(seed: int) -> None:
    mass = np.full((20, 5, 4), 0.7)
    assert abs(float(round_poisson(mass, 0, seed).sum()) - mass.sum()) <= 5.0 * math.sqrt(mass.sum())


@given(st.permutations(range(6)), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_slots_drawn_in_another_order_give_the_same_draws(order: list[int], seed: int) -> None:
    mass = np.random.default_rng(seed).exponential(3.0, (6, 2, 3))
    whole = round_poisson(mass, 100, seed)
    for slot in order:
        assert np.array_equal(round_poisson(mass[slot : slot + 1], 100 + slot, seed)[0], whole[slot])
