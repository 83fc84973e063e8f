"""Learning on some slots of a trace and shown on others: every scheme, what is refused, what is not made again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: make learn-setup")
pytest.importorskip("onnx", reason="needs onnx: make learn-setup")

from trace_worlds import traced_world

from agents.errors import AgentError
from agents.n2o import real_demand, real_report
from agents.n2o.presets import Distilling
from emulator.cli import run_command
from emulator.errors import ScenarioError
from emulator.rental_world import RentalWorld
from emulator.scenario_file import load

SMALL = Distilling(slots=96, rounds=1, round_slots=96, updates=20)


def measured(folder: Path, scenario: Path, *, seed: int = 1, stop_after: int = 10**9, learned=(10, 20)) -> bool:
    asked = []

    def stopped() -> bool:
        asked.append(1)
        return len(asked) > stop_after

    read = load(str(scenario), [f"seed={seed}"])
    return real_demand.measure(
        folder, read, learned, 30, distilling=SMALL, stopped=stopped, tell=lambda text: None
    )  # fmt: skip


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return traced_world(tmp_path_factory.mktemp("trace"))


@pytest.fixture(scope="module")
def out(scenario: Path) -> Path:
    """Two seeds, measured; the first one in two goes."""
    out = scenario.parent / "out"
    assert not measured(out / "seed-1", scenario, stop_after=3)
    assert not (out / "seed-1" / "shown").exists()
    assert not measured(out / "seed-1", scenario, stop_after=20)
    assert measured(out / "seed-1", scenario)
    assert measured(out / "seed-2", scenario, seed=2)
    return out


def test_every_scheme_is_shown_on_the_slots_the_scenario_plays(scenario: Path, out: Path) -> None:
    courses = real_report.courses_of([out / "seed-1", out / "seed-2"])
    assert set(courses) == set(real_demand.SCHEMES)
    for own in courses.values():
        assert [len(course.reward) for course in own if course is not None] == [6, 6]
    one, other = courses["all1"]
    assert (one.units == 4).all()
    assert not (one.reward == other.reward).all()
    document = {row["agents"]: row for row in real_report.document(courses)}
    both = (one.reward.mean() + other.reward.mean()) / 2
    assert document["all1"]["reward"]["mean"] == pytest.approx(both, rel=1e-5)
    assert document["madql"]["ratio_to_madql"]["mean"] == pytest.approx(1.0)


def test_a_scheme_is_what_sim_shows(scenario: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = real_demand.spec_of(out / "seed-2", "owner")
    assert run_command(["sim", str(scenario), "--seed", "2", "--frames", "6", "--agent", spec, "--json", "-o",
                 str(out / "by-sim")]) == 0  # fmt: skip
    shown = real_demand.course_of(out / "seed-2", "owner")
    assert shown is not None
    assert json.loads(capsys.readouterr().out)["reward"]["total"] == pytest.approx(shown.reward.sum(), rel=1e-4)


def test_what_is_measured_is_not_measured_again(scenario: Path, out: Path) -> None:
    files = sorted((out / "seed-1" / "shown").iterdir())
    before = [path.stat().st_mtime_ns for path in files]
    assert measured(out / "seed-1", scenario)
    assert [path.stat().st_mtime_ns for path in files] == before
    with pytest.raises(AgentError, match="measured with another scenario; choose another --out"):
        measured(out / "seed-1", scenario, seed=3)


def test_what_is_shown_must_not_have_been_learned(scenario: Path) -> None:
    for learned in ((0, 5), (9, 12), (0, 24), (5, 6), (3, 3)):
        with pytest.raises(ScenarioError, match="must not have been learned"):
            real_demand.parts_of(load(str(scenario)), learned)
    learning, shown = real_demand.parts_of(load(str(scenario)), (0, 4))
    assert (learning.rental.demand.slots, shown.rental.demand.slots, shown.frames) == ((0, 4), (4, 10), 6)
    with pytest.raises(ScenarioError, match="needs a trace"):
        real_demand.parts_of(load("quickstart-rental"), (0, 4))


def test_the_command_writes_table_figures_and_picture(
    scenario: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["reproduce", "n2o-real", str(scenario), "--learned", "10:20", "--seeds", "2", "-o", str(out), "--as-is"]
    assert run_command(words) == 0
    table = capsys.readouterr().out
    assert "| `madql` |" in table
    assert (out / "reward.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "schemes.csv").read_text().splitlines()) == 1 + 2 * len(real_demand.SCHEMES)
    assert run_command([*words[:-1], "--learned", "3:9"]) == 2
    assert "must not have been learned" in capsys.readouterr().err
    assert run_command([*words[:-1], "--set", "rental.demand.path=nowhere"]) == 2
    assert "nowhere: no such folder; `edgerig import` makes one" in capsys.readouterr().err


def test_letters_are_weighed() -> None:
    graph = RentalWorld(load("quickstart-rental")).graph
    weights = {scheme: real_demand.payload_bytes(scheme, graph, 3) for scheme in real_demand.SCHEMES}
    assert (weights["owner"], weights["maxsum"]) == (120, 200)
    assert weights["n2o"] > 1000
    assert [weights[each] for each in ("madql", "actors", "all1", "exact")] == [0, 0, 0, None]
