"""The reproduction of N2O without any training: what is planned, kept, compared and said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from agents.intervals import Interval
from agents.n2o.example_tables import square
from agents.n2o.reproduction import (
    adapting,
    asking,
    bars,
    claims,
    figure4,
    figure5,
    figure7,
    figure9,
    plan,
    rates,
    report,
    sizes,
    table2,
    tables,
    theory,
)
from agents.n2o.reproduction.measuring import VERSION, Part, Result, Store, blocks, key_of, training_key, world_of
from agents.n2o.reproduction.plan import BY, CENTRALIZED, FULL, LOCAL, QUICK, Case, Effort, Job
from agents.reproduction.comparing import Compared
from emulator.cli import run_command

TINY = Effort("tiny", 3, {4: 6, 9: 6}, {4: 2, 9: 2}, (4,), (2,), (4,))


def result(rewards, copies=2, numbers=None):
    return Result(VERSION, {}, list(map(float, rewards)), copies, numbers or {}, 1.0, 2.0)


def filled(tmp_path, rewards):
    """A store with rewards by world, part and seed."""
    store = Store(tmp_path)
    for (world, edges, part), by_seed in rewards.items():
        for seed, mean in enumerate(by_seed, start=1):
            case = plan.case_of(TINY, world, edges, seed)
            store.put(key_of(Part(case, part)), result([mean - 1, mean + 1, mean, mean]))
    return store


def test_networks_are_trained_once_for_all_figures():
    jobs = report.wanted(plan.FIGURES, FULL)
    local = [job for job in jobs if LOCAL in job.parts]
    assert len({job.case for job in local}) == len(local)
    assert len({training_key(job.case, LOCAL) for job in local}) == len(local)
    assert all(job.parts == (CENTRALIZED,) for job in jobs if CENTRALIZED in job.parts)
    parts = [(job.case, part) for job in jobs for part in job.parts]
    assert len(set(parts)) == len(parts)


def test_what_the_issue_asks_for_first_is_made_first():
    ranks = [job.rank for job in report.wanted(plan.FIGURES, FULL)]
    assert ranks == sorted(ranks)
    first = [job for job in report.wanted(plan.FIGURES, FULL) if job.rank == 0]
    assert {(job.case.world, job.case.edges) for job in first} == {("A, fault", 4), ("P", 4)}
    assert {job.case.seed for job in first} == {1, 2, 3}


def test_nothing_above_nine_is_trained_centrally_and_quick_has_four_only():
    central = [job.case.edges for job in report.wanted(plan.FIGURES, FULL) if CENTRALIZED in job.parts]
    assert set(central) == {4, 9}
    assert {job.case.edges for job in report.wanted(plan.FIGURES, QUICK)} == {4}


def test_quick_takes_less_than_fifteen_minutes_on_two_cores():
    """By the weights, which are CPU seconds of a slow core."""
    assert sum(map(asking.weight_of, report.wanted(plan.FIGURES, QUICK))) < 2 * 900


def test_whatever_changes_the_world_or_the_training_changes_the_key():
    case = Case("P", 4, 2, 1, 60, 2)
    part = Part(case, BY + "owner")
    keys = {
        key_of(part),
        key_of(Part(case, BY + "exact")),
        key_of(Part(case._replace(world="A"), part.part)),
        key_of(Part(case._replace(world="A, fault"), part.part)),
        key_of(Part(case._replace(edges=9), part.part)),
        key_of(Part(case._replace(units=3), part.part)),
        key_of(Part(case._replace(seed=2), part.part)),
        key_of(Part(case._replace(steps=61), part.part)),
        key_of(Part(case._replace(judges=3), part.part)),
    }
    assert len(keys) == 9
    assert training_key(case, LOCAL) == training_key(case._replace(judges=3), BY + "owner")
    assert training_key(case, LOCAL) != training_key(case, CENTRALIZED)


def test_what_is_measured_stays_found():
    """Hours of measurements are lost where this key changes; see ``agents.reproduction.store.LATER`` first."""
    assert training_key(plan.case_of(FULL, "P", 4, 1, 2), LOCAL) == "976dc2bf1accb78577cd368a"


@pytest.mark.parametrize(("world", "spec", "bug"), [("A, fault", "A", "authors"), ("A", "A", "off"), ("P", "P", "off")])
def test_worlds_are_what_they_are_called(world, spec, bug):
    rental = world_of(Case(world, 9, 3, 1, 6, 2)).rental
    assert (rental.spec, rental.zero_delay_bug, rental.units) == (spec, bug, 3)


def test_only_missing_parts_are_made(tmp_path):
    store = Store(tmp_path)
    case = plan.case_of(TINY, "P", 4, 1)
    job = Job(case, (LOCAL, BY + "owner"))
    store.put(key_of(Part(case, LOCAL)), result([1.0, 2.0]))
    assert asking.missing([job], store) == [job._replace(parts=(BY + "owner",))]
    store.put(key_of(Part(case, BY + "owner")), result([1.0, 2.0]))
    assert asking.missing([job], store) == []


def test_ratios_are_of_the_episodes_that_both_played():
    own = [result([1, 1, 10, 10, 3, 3], copies=2)]
    base = [result([2, 99, 99, 4, 99, 99], copies=3)]
    pair = tables.paired(own, base)
    assert pair.own[0] == np.mean([1, 1, 10, 10])
    assert pair.base[0] == np.mean([2, 99, 4, 99])
    assert np.isnan(tables.paired([None], base).own[0])


def test_a_stated_value_holds_where_it_is_within_the_interval():
    (near,) = claims.stated("who", Compared(Interval(0.65, 0.05), 3), 0.6206)
    (far,) = claims.stated("who", Compared(Interval(0.75, 0.05), 3), 0.6206)
    assert (near.agrees, near.contradicts, far.agrees, far.contradicts) == (True, False, False, True)
    assert claims.stated("who", None, 0.6) == []
    (wide,) = claims.stated("who", Compared(Interval(0.65, 0.5), 2), 0.6206)
    assert (wide.agrees, wide.contradicts) == (False, False)


def test_figure_5_says_what_was_measured(tmp_path):
    rewards = {
        ("A, fault", 4, CENTRALIZED): (100, 110, 105),
        ("A, fault", 4, BY + "madql"): (62, 68, 65.5),
        ("A, fault", 4, BY + "n2o"): (80, 88.5, 84),
        ("P", 4, CENTRALIZED): (40, 42, 41),
        ("P", 4, BY + "madql"): (39, 43, 41),
        ("P", 4, BY + "n2o"): (38, 40.5, 39.5),
    }
    book = tables.Book(filled(tmp_path, rewards), TINY)
    words = {verdict.says: verdict.word for verdict in figure5.judged(book)}
    assert words["Centralized DQL earns more than N2O."] == "holds"
    assert words["MA-DQL earns 62.06 % of centralized DQL."] == "holds with a caveat"
    assert words["N2O earns 91.39 % of centralized DQL."] == "does not hold"
    assert words["N2O earns more than MA-DQL."] == "holds with a caveat"
    assert words["The same, by the running average."] == "not measured"
    assert "0.621" in figure5.table(book)


def test_a_bar_is_met_where_the_mean_is_within_it(tmp_path):
    rewards = {
        ("A, fault", 4, CENTRALIZED): (100, 100, 100),
        ("A, fault", 4, BY + "madql"): (70, 75, 80),
        ("A, fault", 4, BY + "n2o"): (97, 98, 99),
        ("P", 9, BY + "madql"): (40, 41, 42),
        ("P", 9, BY + "owner"): (50, 51, 52),
    }
    found = list(bars.bars(tables.Book(filled(tmp_path, rewards), TINY)))
    words = {bar.what: bar.word for bar in found}
    assert words["A, fault, N = 4: MA-DQL / centralized DQL"] == "met"
    assert words["A, fault, N = 4: N2O, last point / centralized DQL"] == "**missed**"
    assert words["P, N = 9: owner-side / MA-DQL"] == "met"
    assert words["P, N = 4: max-sum / centralized DQL"] == "not measured"
    assert "| P, N = 9: owner-side / MA-DQL | at least 1.2 | 1.244" in bars.table(found)


def test_differences_between_servers_are_told_from_chance():
    alike = np.array([[0.0, 1.0], [0.0, 1.0]])
    unlike = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert figure4.between_servers(alike) == 0.0
    assert figure4.between_servers(unlike) == 1.0
    assert figure4.between_seeds(unlike, [unlike, alike]) == pytest.approx(0.25)


def test_convergence_is_nine_tenths_of_the_way():
    curve = [0.0, 5.0, 8.0, 9.5, *[10.0] * 6]
    steps = [float(step) for step in range(1, 11)]
    assert figure7.converged_share(result([], numbers={"curve": curve, "steps": steps})) == 0.4
    assert np.isnan(figure7.converged_share(result([], numbers={"curve": curve[::-1], "steps": steps})))


def test_an_objective_settles_when_it_stays_near_its_end():
    assert figure9.settled(np.array([0.5, 0.9, 0.5, 0.899, 0.9])) == 3.0
    assert figure9.settled(np.full(5, 0.9)) == 0.0


def test_blocks_are_means_of_equal_size():
    assert blocks(np.arange(7.0), 3) == [0.5, 2.5, 4.5]
    assert blocks(np.arange(2.0), 3) == [0.0, 1.0]


def test_another_demand_is_all_zones_demand_of_others_nine_hours_later():
    before = world_of(Case("P", 4, 2, 1, 6, 2))
    demand, other = before.rental.demand, adapting.changed(before).rental.demand
    assert other.residential[9] == demand.commercial[0]
    assert other.school[20] == demand.public[11]
    assert sum(other.commercial) == sum(demand.residential)


def test_table_2_is_arithmetic():
    found = sizes.sizes_of(square(3))
    assert found.central_parameters == (45 + 1) * 256 + 257 * 256 + 257 * 128 + 129 * 19_683 == 2_649_571
    assert found.local_parameters == 5_745
    assert sorted(set(found.local)) == [27, 81, 243]
    assert found.link_bytes == {"n2o:slopes=secant": 50 * 36, "owner": 90, "max-sum": 80}
    assert (found.links, found.collected_bytes) == (24, (180, 360))
    assert {verdict.word for verdict in table2.judged(None)} >= {"holds", "does not hold"}


def test_weights_are_doubly_stochastic_also_where_links_fail():
    weights = theory.mixing(theory.grid(3))
    at = theory.failing(weights, 0.5, 1)
    for matrix in (weights, at(0), at(1)):
        assert np.allclose(matrix.sum(axis=0), 1.0)
        assert np.allclose(matrix, matrix.T)
        assert (matrix >= 0.0).all()
    assert not np.allclose(at(0), at(1))


def test_gaps_are_those_of_the_drawn_matrices():
    weights = theory.mixing(theory.grid(3))
    assert theory.gap(weights) == pytest.approx(0.2334, abs=1e-3)
    for share in (0.0, 0.4, 0.8):
        at = theory.failing(weights, share, 1)
        mean = np.mean([at(round_).T @ at(round_) for round_ in range(3000)], axis=0)
        drawn = 1.0 - np.sort(np.linalg.eigvalsh(mean))[-2]
        assert theory.expected_gap(weights, share) == pytest.approx(drawn, abs=0.01)


def test_dual_averaging_finds_the_maximum_of_concave_functions():
    task = theory.problem(theory.grid(2), 1)
    best = task.value(task.best[None])[0]
    for shift in (-0.01, 0.01):
        assert task.value(task.best[None] + shift)[0] < best
    weights = theory.mixing(theory.grid(2))
    found = theory.run(task, lambda _: weights, 1500)
    assert (found.error >= -1e-12).all()
    assert found.error[-1] < 0.05 * found.error[1]
    assert theory.exponent(found.error, 100) < -0.5


def test_the_slopes_are_those_of_the_objective():
    task = theory.problem(theory.grid(2), 1)
    point, step = np.array([0.3, 1.2, 0.7, 1.9]), 1e-6
    slopes = task.slopes(np.tile(point, (4, 1))).sum(axis=0) / 4
    for place in range(4):
        moved = point.copy()
        moved[place] += step
        rise = (task.value(moved[None])[0] - task.value(point[None])[0]) / step
        assert rise == pytest.approx(slopes[place], abs=1e-5)


def test_rounds_and_exponents_of_a_known_error():
    error = np.arange(1.0, 2001.0) ** -0.5
    assert theory.exponent(error, 100) == pytest.approx(-0.5)
    assert theory.rounds_to(error, 0.1) == 100.0
    assert np.isnan(theory.rounds_to(error, 1e-3))
    one, other = (rates.Rate("", 4, gap, np.array([[1.0, 1.0 / gap]])) for gap in (0.1, 0.01))
    assert rates.gap_exponents([one, other])[0] == pytest.approx(1.0)


def test_a_page_needs_all_figures(tmp_path):
    assert run_command(["reproduce", "n2o", "fig5", "--page", str(tmp_path / "page.md")]) == 2


def test_what_is_not_measured_is_named(tmp_path, capsys):
    out = tmp_path / "out"
    assert run_command(["reproduce", "n2o", "table2", "--as-is", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["missing"] == []
    assert run_command(["reproduce", "n2o", "fig8", "--quick", "--as-is", "--out", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert "P, N = 4, seed 1: adapted" in document["missing"]
    text = (out / "page.md").read_text()
    assert "P, N = 4, K = 2, seed 1, 2, 3: training of MA-DQL, another demand" in text
    assert "**not measured**" in text
    assert "Not measured." in text
    assert not (out / "img" / "n2o_fig8.png").exists()
