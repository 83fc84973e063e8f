"""The reproduction without any training: what is planned, kept, compared and said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents import sweep_plot
from agents.errors import AgentError
from agents.intervals import Interval
from agents.reproduction.comparing import Compared, difference
from agents.reproduction.crew import Stopped
from agents.reproduction.verdicts import Finding, judged
from agents.ttosc.reproduction import crew, page, plan, real, report, verdicts
from agents.ttosc.reproduction.measuring import VERSION, Curve, Result, blocks, key_of, measured, world_of
from agents.ttosc.reproduction.plan import (
    DISTILLED,
    FULL,
    GREEDY,
    LITERAL,
    MARGINAL,
    ORACLE,
    POPULARITY,
    QUICK,
    Effort,
    Measurement,
    default_measurements,
    measurements_of,
)
from agents.ttosc.reproduction.store import Store
from agents.ttosc.reproduction.tables import Sweep, converged_after
from emulator.cli import run_command
from emulator.errors import RunFolderError

TINY = Effort("tiny", 2, 0, 0, {"literal": 1, "tuned": 1, "marginal": 1}, 2, {}, {plan.CELLS: (3, 5)}, ())
ONE = Measurement(("edges.count=2",), POPULARITY, 1, 0, 2)


def result(delay_s, curve=None):
    return Result(VERSION, {}, delay_s, 10.0 - delay_s, 5.0, curve, 0.0)


def sweep(delays, scheme=LITERAL, axis=None):
    """Results of one scheme, by point and seed."""
    axis = axis or plan.FIGURES["fig5a"].axes[0]
    points = axis.points[: len(delays)]
    return Sweep(axis, points, {scheme: [[None if d is None else result(d) for d in row] for row in delays]})


def test_the_default_world_is_measured_once_for_all_figures():
    default = key_of(default_measurements(POPULARITY, FULL)[0])
    for name in ("fig5a", "fig5b", "fig6a", "fig6b"):
        for axis in plan.FIGURES[name].axes:
            (point,) = (point for point in axis.points if point.at == plan.DEFAULTS[axis.label])
            assert key_of(plan.measurements_at(point, axis, POPULARITY, FULL)[0]) == default


def test_who_learns_in_the_default_world_only_is_left_out_elsewhere():
    assert DISTILLED.learns in QUICK.default_only
    found = [m for m in measurements_of("fig5a", QUICK) if m.scheme == DISTILLED]
    assert {m.overrides for m in found} == {("edges.count=5",)}
    assert len(default_measurements(DISTILLED, QUICK)) == QUICK.default_seeds


def test_readings_of_the_papers_scheme_are_at_the_ends_of_every_axis():
    for name in plan.FIGURES:
        for axis in plan.FIGURES[name].axes:
            ends = {plan._ENDS[axis.label][place] for place in (0, -1)}
            for scheme in set(plan.FIGURES[name].schemes) & set(plan.PROPOSED):
                found = {point.at for point in axis.points if plan.measurements_at(point, axis, scheme, FULL)}
                assert ends < found
                assert plan.DEFAULTS[axis.label] in found


def test_whatever_changes_the_world_or_the_way_changes_the_key():
    keys = {
        key_of(ONE),
        key_of(ONE._replace(overrides=("edges.count=3",))),
        key_of(ONE._replace(scheme=GREEDY)),
        key_of(ONE._replace(seed=2)),
        key_of(ONE._replace(counted_frames=3)),
        key_of(ONE._replace(scheme=LITERAL, learning_frames=5)),
        key_of(ONE._replace(scheme=LITERAL, learning_frames=6)),
        key_of(ONE._replace(scheme=MARGINAL, learning_frames=6)),
    }
    assert len(keys) == 8
    on_the_bus = ONE._replace(overrides=(*ONE.overrides, "agent.successor_s=60.0"))
    assert (
        key_of(on_the_bus) == key_of(ONE) != key_of(ONE._replace(overrides=(*ONE.overrides, "agent.lost=[[0, 0, 1]]")))
    )


def test_the_workload_is_the_default_one_everywhere():
    """Nothing is tuned: no point changes more than what its axis names."""
    for name in plan.FIGURES:
        for axis in plan.FIGURES[name].axes:
            for point in axis.points:
                allowed = ("edges.", "services.count", "demand.zipf_exponent", "demand.users_m")
                assert all(change.startswith(allowed) for change in point.overrides)
    scenario = world_of(Measurement((), POPULARITY, 3, 0, 2))
    assert (scenario.demand.workload, scenario.seed, scenario.world_seed) == ("static", 3, 3)


def test_whoever_learns_has_stopped_before_the_frames_that_count():
    for effort in (FULL, QUICK):
        assert max(effort.learning_frames.values()) <= plan.EVALUATED_FROM - 5


def test_a_measurement_is_made_once_and_found_again(tmp_path):
    store = Store(tmp_path / "out")
    assert crew.missing([ONE, ONE], store) == [ONE]
    assert crew.make([ONE], store, jobs=1, tell=lambda progress: None)
    assert crew.missing([ONE], store) == []
    found = store.get(ONE)
    again = measured(ONE, tmp_path / "again")
    assert (again.delay_s, again.gain_s, again.deployed) == (found.delay_s, found.gain_s, found.deployed)


def test_a_world_is_read_once_for_all_that_is_asked_about_a_measurement(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("agents.ttosc.reproduction.store.key_of", lambda each: asked.append(each) or key_of(each))
    store = Store(tmp_path)
    other = ONE._replace(seed=2)
    assert [store.key_of(each) for each in (ONE, other, ONE)] == [key_of(each) for each in (ONE, other, ONE)]
    assert store.get(ONE) is None
    assert asked == [ONE, other]


def test_a_file_that_is_not_whole_does_not_count(tmp_path):
    store = Store(tmp_path)
    store.put(key_of(ONE), result(1.0))
    file = tmp_path / "measurements" / f"{key_of(ONE)}.json"
    file.write_bytes(file.read_bytes()[:20])
    assert store.get(ONE) is None


def test_a_path_that_a_policy_cannot_name_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="--out"):
        Store(tmp_path / "a,b")


def test_a_measurement_can_be_stopped(tmp_path):
    with pytest.raises(Stopped):
        measured(ONE, tmp_path, stopped=lambda: True)


@pytest.mark.parametrize(
    ("marks", "word"),
    [
        ([1, 1], "holds"),
        ([1, 0], "holds with a caveat"),
        ([1, -1], "holds with a caveat"),
        ([0, 0], "does not hold"),
        ([-1, 0], "does not hold"),
        ([], "not measured"),
    ],
)
def test_the_word_follows_from_who_agrees(marks, word):
    found = [Finding("who", Compared(Interval(1.0, 0.5), 3), mark > 0, mark < 0) for mark in marks]
    assert judged(found) == word


def test_a_trend_is_judged_by_paired_seeds_alone():
    """Worlds differ by far more than what more cells bring; and a third seed has no pair."""
    falls = sweep([[5.0, 1.0, None], [4.9, 0.9, 7.0], [4.8, 0.79, None]])
    (finding,) = verdicts._trend(falls, [LITERAL], lambda r: r.delay_s, rises=False)
    assert finding.agrees
    assert finding.found.seeds == 2
    assert finding.found.interval.mean == pytest.approx(-0.205)
    (finding,) = verdicts._trend(falls, [LITERAL], lambda r: r.delay_s, rises=True)
    assert finding.contradicts
    level = sweep([[5.0, 1.0], [4.0, 2.0]])
    (finding,) = verdicts._trend(level, [LITERAL], lambda r: r.delay_s, rises=False)
    assert not finding.agrees
    assert not finding.contradicts


def test_a_stand_in_alone_makes_no_statement_about_the_proposed_scheme_hold():
    axes = plan.FIGURES["fig6a"].axes
    panels = [sweep([[2.0, 2.1], [1.0, 1.1]], plan.ILS, axes[0]), sweep([[1.0, 1.1], [2.0, 2.1]], plan.ILS, axes[1])]
    assert [verdict.word for verdict in verdicts.by_demand({"fig6a": panels})] == ["holds with a caveat"] * 2
    for panel in panels:
        panel.results[MARGINAL] = panel.results[plan.ILS]
    assert [verdict.word for verdict in verdicts.by_demand({"fig6a": panels})] == ["holds"] * 2


def test_a_gap_is_taken_where_both_were_measured():
    both = sweep([[3.0, 3.1], [9.0, 9.0], [2.0, 2.11]], POPULARITY)
    both.results[LITERAL] = [[result(2.0), result(2.1)], [None, None], [result(1.5), result(1.6)]]
    (finding,) = verdicts._gaps(both, [POPULARITY], [LITERAL], rises=False)
    assert finding.found.interval.mean == pytest.approx(-0.495)
    assert finding.agrees


def test_a_difference_of_one_pair_says_nothing():
    assert difference(np.array([1.0, np.nan]), np.array([0.5, 0.5])) is None


def test_a_training_converged_where_its_curve_stays_near_its_end():
    own = [4.0] * 10 + [2.0] * 30
    assert converged_after(result(2.0, Curve(own, own, [2.0] * 40))) == pytest.approx(150.0)
    assert np.isnan(converged_after(result(2.0)))


def test_blocks_leave_out_what_is_not_full():
    assert blocks(np.arange(25.0)) == [4.5, 14.5]


def test_a_figure_is_written_as_table_plot_and_claims(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(plan.FIGURES, "fig5a", plan.FIGURES["fig5a"]._replace(schemes=(POPULARITY, GREEDY)))
    store = Store(tmp_path / "out")
    request = report.Request(("fig5a",), TINY, command="edgerig")
    todo = crew.missing(report.wanted(request), store)
    assert len(todo) == 2 * 2 * 2
    assert crew.make(todo, store, jobs=1, tell=lambda progress: None)
    document = report.write(store, request)
    assert [claim["name"] for claim in document["claims"]] == ["C5", "C6"]
    json.dumps(document)
    lines = (store.path / "fig5a.csv").read_text().splitlines()
    assert len(lines) == 1 + 8
    assert (store.path / "img" / "ttosc_fig5a.png").read_bytes().startswith(b"\x89PNG")
    target = tmp_path / "docs" / "page.md"
    target.parent.mkdir()
    target.write_text(f"# Mine\n\nbefore\n{page.BEGIN}\noutdated\n{page.END}\nafter\n")
    report.publish(store, target)
    text = target.read_text()
    assert "outdated" not in text
    assert text.startswith("# Mine\n\nbefore\n")
    assert text.endswith(f"{page.END}\nafter\n")
    assert "| Popularity |" in text
    assert (target.parent / "img" / "ttosc_fig5a.png").exists()
    report.publish(store, target)
    assert target.read_text() == text
    target.write_text("# no place")
    with pytest.raises(AgentError, match="add them"):
        report.publish(store, target)


def test_a_page_names_what_is_not_measured():
    real_one = ONE._replace(scheme=LITERAL, scenario="somewhere/milan.toml", overrides=())
    todo = [ONE, real_one, ONE._replace(seed=3), ONE._replace(overrides=("edges.count=9", "edges.link_bps=1e9"))]
    line = page.effort_line(TINY, "edgerig", todo)
    assert "4 measurements of the plan are not made" in line
    assert "Popularity: edges.count=2 (seed 1, 3)" in line
    assert "literal agents: real demand (seed 1)" in line
    assert "Popularity: edges.count=9 (seed 1)" in line
    both = page.absent([each._replace(scheme=scheme) for each in (ONE, real_one) for scheme in (LITERAL, POPULARITY)])
    assert both == "Popularity / literal agents: edges.count=2 / real demand (seed 1)"
    assert "not made" not in page.effort_line(TINY, "edgerig")


def test_every_scheme_has_a_colour_and_a_mark_of_its_own():
    assert len(set(sweep_plot.COLOURS)) >= len(plan.SCHEMES)
    assert len(set(sweep_plot.MARKS)) >= len(plan.SCHEMES)


def test_what_needs_an_extra_says_so_before_anything_is_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("agents.extras.importlib.util.find_spec", lambda name: None)
    assert run_command(["reproduce", "ttosc", "fig4a", "--quick", "--out", str(tmp_path / "out")]) == 2
    assert "install the extra 'learn'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_page_is_for_all_figures(tmp_path):
    assert run_command(["reproduce", "ttosc", "fig5a", "--page", str(tmp_path / "page.md")]) == 2


def test_run_times_are_held_against_the_papers():
    scheduling, deployment = verdicts.quick_enough(1e-5, 0.5)
    assert (scheduling.word, deployment.word) == ("holds", "does not hold")


def test_the_oracle_is_no_scheme_of_the_papers():
    assert ORACLE not in plan.PAPERS + plan.PROPOSED


def test_real_demand_learns_from_the_days_before_those_that_count(tmp_path):
    for effort in (FULL, QUICK):
        for scheme in plan.SCHEMES:
            for each in real.measurements(tmp_path / "milan.toml", scheme, effort):
                assert each.learning_frames <= 20 * 24
                assert (each.first_frame, each.counted_frames) == (25 * 24, 5 * 24)


def test_days_are_compared_over_the_seeds_that_all_have():
    one, two, three = (result(delay_s) for delay_s in (1.0, 2.0, 3.0))
    found = real.paired({LITERAL: [one, None, two], POPULARITY: [three, one, one], GREEDY: [None, None, None]})
    assert found == {LITERAL: [one, two], POPULARITY: [three, one]}
    assert real.paired({LITERAL: [one, None], POPULARITY: [None, two]}) == {}


def test_real_demand_says_which_trace_is_missing(tmp_path, capsys):
    (tmp_path / "milan_internet").mkdir()
    command = ["reproduce", "ttosc", "real", "--out", str(tmp_path / "out")]
    assert run_command([*command, "--data", str(tmp_path)]) == 2
    assert "azure_functions" in capsys.readouterr().err
    assert run_command(command) == 2
    assert "--data" in capsys.readouterr().err
