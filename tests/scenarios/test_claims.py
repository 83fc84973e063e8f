"""The paper's qualitative claims: the change between the ends of a sweep has the claimed sign beyond chance."""

import functools

import numpy as np
import pytest

from agents import claims
from agents.claims import CLAIMS, ILS, Axis, Claim, Point, Scheme, change, sweep
from agents.intervals import interval, ratio

COMPARED = (ILS, Scheme("Popularity", "popularity"), Scheme("Greedy", "greedy", "greedy"))


@functools.cache
def _sweep(name, panels=None):
    """The ends only of a claim's axes, or of its first few; 16 paired seeds; each is computed once."""
    pytest.importorskip("numba")
    claim = CLAIMS[name]
    ends = tuple(Axis(axis.label, (axis.points[0], axis.points[-1]), axis.rises) for axis in claim.axes[:panels])
    return sweep(Claim(claim.says, ends, claim.figure), jobs=2, schemes=COMPARED)


CASES = [
    pytest.param(name, panel, scheme, id=f"{name}-{panel}-{COMPARED[scheme].policy}")
    for name in ("c2", "c5", "c7", "c11", "c12")
    for panel in range(len(CLAIMS[name].axes))
    for scheme in range(len(COMPARED))
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "panel", "scheme"), CASES)
def test_a_claim_of_the_paper_holds_beyond_chance(name, panel, scheme):
    found = change(_sweep(name)[panel][scheme])
    assert found.excludes_zero
    assert (found.mean > 0.0) == CLAIMS[name].axes[panel].rises


@pytest.mark.slow
@pytest.mark.parametrize("scheme", range(len(COMPARED)))
def test_delay_falls_as_requests_concentrate_while_links_are_slow(scheme):
    """C10; with links of 200 Mbit/s it is level for the search, as docs/claims.md says."""
    found = change(_sweep("c10", 1)[0][scheme])
    assert found.excludes_zero
    assert found.mean < 0.0


def test_an_interval_is_the_textbooks():
    found = interval(np.array([1.0, 2.0, 3.0, 4.0]))
    assert found.mean == 2.5
    assert found.half == pytest.approx(3.182446 * np.sqrt(5.0 / 3.0) / 2.0, rel=1e-6)
    assert found.excludes_zero
    assert not interval(np.array([-1.0, 2.0, 3.0, -3.0])).excludes_zero


def test_a_ratio_of_proportional_values_has_no_width():
    base = np.array([1.0, 2.0, 4.0])
    found = ratio(0.5 * base, base)
    assert found.mean == 0.5
    assert found.half == pytest.approx(0.0, abs=1e-15)


TINY = Claim("Delay falls.", (Axis("cells M", (Point(1, ("edges.count=1",)), Point(2, ("edges.count=2",))), False),))
POPULARITY = (Scheme("Popularity", "popularity"),)


def test_a_sweep_is_the_same_in_one_process_and_in_two():
    one, two = (sweep(TINY, seeds=2, jobs=jobs, schemes=POPULARITY)[0] for jobs in (1, 2))
    assert one.shape == (1, 2, 2)
    assert one.tolist() == two.tolist()


def test_the_command_prints_the_table_and_draws_the_plot(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(CLAIMS, "c5", TINY)
    monkeypatch.setattr(claims, "FRAMES", 7)
    path = tmp_path / "c5.png"
    assert claims.main(["c5", "--seeds", "2", "--out", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "| cells M | 1 | 2 | last - first (95 % CI) |" in shown
    assert "| Popularity |" in shown
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments", [["c5", "--seeds", "1"], ["c5", "--jobs", "0"], ["levels", "--out", "x.png"], ["c1"]]
)
def test_the_command_refuses_what_it_cannot_do(arguments):
    with pytest.raises(SystemExit) as ended:
        claims.main(arguments)
    assert ended.value.code == 2
