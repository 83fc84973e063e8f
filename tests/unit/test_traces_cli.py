"""`edgerig import` and `edgerig inspect` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from emulator.cli.traces import COMMANDS, seconds, slot_range
from emulator.traces import TraceError, load_demand

SHIPPED = Path(__file__).parents[2] / "emulator" / "scenarios" / "small_trace"
EXAMPLE = Path(__file__).parents[2] / "examples" / "make_small_trace.py"


def edgerig(*words: str | Path) -> Result:
    group = click.Group("edgerig", {command.name or "": command for command in COMMANDS})
    return CliRunner().invoke(group, [str(word) for word in words])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text("slot,c0,c1\n" + "".join(f"{slot},{slot % 5},{slot % 7}\n" for slot in range(60)))
    return path


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("10min", 600.0), ("90s", 90.0), ("1h", 3600.0), ("600", 600.0), ("0.5 h", 1800.0), ("2days", 172800.0)],
)
def test_times_are_written_as_people_write_them(text: str, length_s: float) -> None:
    assert seconds(text) == length_s


@pytest.mark.parametrize("text", ["ten", "-5s", "5 parsecs", "", "1e3"])
def test_what_is_no_time_is_a_usage_error(text: str, trace: Path, tmp_path: Path) -> None:
    result = edgerig("import", trace, "-o", tmp_path / "out", f"--slot={text}")
    assert result.exit_code == 2
    assert "is not a time such as 10min" in result.output


def test_slot_ranges_may_be_open() -> None:
    assert (slot_range("3:9"), slot_range(":9"), slot_range("3:")) == ((3, 9), (0, 9), (3, None))
    with pytest.raises(click.BadParameter):
        slot_range("9:3")


def test_import_prints_the_account_and_writes_the_command_without_folders(trace: Path, tmp_path: Path) -> None:
    words = ["--slot", "10min", "--slots", "6:", "--kind", "trace=wide-cells", "--scale", "2"]
    result = edgerig("import", trace, "-o", tmp_path / "out", *words)
    assert result.exit_code == 0, result.output
    assert "mass     " in result.stdout
    assert "note: trace: its time column is 'slot'" in result.stderr
    command = load_demand(tmp_path / "out").manifest["command"]
    assert command == "edgerig import trace.csv --out out --slot 600 --scale 2 --slots 6: --kind trace=wide-cells"


@pytest.mark.parametrize(
    "words",
    [
        ["--cells", "a", "--sites", "b"],
        ["--slots", "0:4", "--from", "1h"],
        ["--scale", "0"],
        ["--scale", "inf"],
        ["--scale", "nan"],
        ["--round", "up"],
        ["--top", "0"],
        ["--slot", "0"],
        ["--seed", "-1"],
        ["--kind", "wide"],
    ],
)
def test_options_that_make_no_sense_are_usage_errors(trace: Path, tmp_path: Path, words: list[str]) -> None:
    assert edgerig("import", trace, "-o", tmp_path / "out", *words).exit_code == 2
    assert not (tmp_path / "out").exists()


def test_a_wrong_trace_reaches_the_program_as_a_trace_error(tmp_path: Path) -> None:
    assert isinstance(edgerig("import", tmp_path / "no.csv", "-o", tmp_path / "out").exception, TraceError)


def test_inspect_tells_figures_origin_and_digest() -> None:
    result = edgerig("inspect", SHIPPED)
    assert result.exit_code == 0, result.output
    for text in ("60 of 60 s (1 h)", "cells    5", "services 8", "street: Apache-2.0", load_demand(SHIPPED).digest):
        assert text in result.stdout


def test_inspect_json_is_one_document() -> None:
    figures = json.loads(edgerig("inspect", SHIPPED, "--json").stdout)
    demand = load_demand(SHIPPED)
    assert figures["tasks"] == demand.tasks.sum() == demand.manifest["mass"]["tasks"]
    assert figures["rank_slope"] < -0.5


@pytest.mark.parametrize("positions", ["row,col", "lat,lon", ""])
def test_inspect_plots_grids_maps_and_bare_cells(trace: Path, tmp_path: Path, positions: str) -> None:
    pytest.importorskip("matplotlib")
    words: list[str | Path] = []
    if positions:
        (tmp_path / "cells.csv").write_text(f"cell,{positions}\nc0,1,1\nc1,1,2\n")
        words = ["--cells", tmp_path / "cells.csv"]
    edgerig("import", trace, "-o", tmp_path / "out", "--slot", "1h", *words)
    result = edgerig("inspect", tmp_path / "out", "--plot", tmp_path / "demand.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "demand.png").read_bytes().startswith(b"\x89PNG")


def test_a_plot_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert isinstance(edgerig("inspect", SHIPPED, "--plot", tmp_path / "no" / "a.png").exception, TraceError)
    assert isinstance(edgerig("inspect", SHIPPED, "--plot", tmp_path / "a.xyz").exception, TraceError)


def test_the_example_makes_the_shipped_trace_again(tmp_path: Path) -> None:
    namespace: dict[str, object] = {"__name__": "example"}
    exec(compile(EXAMPLE.read_text(), str(EXAMPLE), "exec"), namespace)
    namespace["main"](str(tmp_path / "again"))  # type: ignore[operator]
    again, shipped = load_demand(tmp_path / "again"), load_demand(SHIPPED)
    assert (again.tasks == shipped.tasks).all()
    assert (again.cells, again.services) == (shipped.cells, shipped.services)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 40_000
