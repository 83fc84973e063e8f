"""Figures 9 and 10: how N2O converges, by edge servers and by links that fail; owner-side beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from agents.n2o.copies import Floats
from agents.n2o.reproduction.claims import less
from agents.n2o.reproduction.headroom import FAILING, LOST, ROUNDS
from agents.n2o.reproduction.pictures import Curve, Curves, draw_curves
from agents.n2o.reproduction.plan import HEADROOM, SMALLEST, WorldName
from agents.n2o.reproduction.tables import Book
from agents.reproduction.comparing import mean_of
from agents.reproduction.verdicts import Finding, Verdict, finding, verdict
from agents.reproduction.writing import compared, markdown_table

TITLE9 = "Figure 9: P2 round by round, by the number of edge servers"
TITLE10 = "Figure 10: P2 round by round, where links fail"
N2O: Final = "n2o"
SETTLED: Final = 0.01
"""An objective has settled when it stays within this of where it ends, in parts of the maximum."""

SAME: Final = 0.05
"""Ends that differ by less, in parts of the maximum, are the same value."""

SLIGHT: Final = 10.0
"""Rounds later that are no significant influence, of 50."""

GAINED: Final = 0.95
"""Part of the way from MA-DQL to the maximum that would be worth the name convergence to the optimum."""

CASES: Final[tuple[tuple[WorldName, int], ...]] = (
    ("A, fault", SMALLEST), ("P", SMALLEST), ("P", 9), ("P", 16), ("P", 25),
)  # fmt: skip


def settled(course: Floats) -> float:
    """Rounds after which an objective stays within a hundredth of where it ends."""
    away = np.flatnonzero(np.abs(course - course[-1]) > SETTLED)
    return 0.0 if not len(away) else float(away[-1] + 1)


def _courses(book: Book, world: WorldName, edges: int, key: str) -> Floats:
    return book.curve(world, edges, HEADROOM, key)


def _measured(book: Book) -> list[tuple[WorldName, int]]:
    return [(world, edges) for world, edges in CASES if len(_courses(book, world, edges, "own"))]


def _settling(book: Book, world: WorldName, edges: int, key: str) -> Floats:
    return np.array([settled(course) for course in _courses(book, world, edges, key)])


def table9(book: Book) -> str:
    """Where everyone ends, and what part of the headroom that is."""
    rows = []
    for world, edges in _measured(book):
        own = _courses(book, world, edges, "own")[:, 0]
        for spec, rounds in ROUNDS.items():
            course, gain = (_courses(book, world, edges, f"{kind} {spec}") for kind in ("share", "gain"))
            rows.append((world, str(edges), f"`{spec}`", str(rounds), str(len(own)), compared(mean_of(own), 3),
                         compared(mean_of(course[:, -1]), 3), compared(mean_of(gain[:, 0])),
                         compared(mean_of(np.array([settled(each) for each in course])), 0)))  # fmt: skip
    heads = ("world", "N", "orchestrator", "rounds", "seeds", "MA-DQL / max", "its end / max", "headroom recovered",
             "rounds to settle")  # fmt: skip
    return markdown_table(heads, rows)


def table10(book: Book) -> str:
    """The same where links fail or letters are lost."""
    rows = []
    for world, edges in _measured(book):
        for share in (0.0, *FAILING):
            course = _courses(book, world, edges, "share n2o" if not share else f"fail {share}")
            rounds = np.array([settled(each) for each in course])
            rows.append((world, str(edges), "N2O, links fail", f"{share:g}", compared(mean_of(course[:, -1]), 3), "-",
                         compared(mean_of(rounds), 0)))  # fmt: skip
        for spec, name in (("owner", "owner-side, letters lost"), ("max-sum:rounds=10", "max-sum, letters lost")):
            for share in LOST:
                for first, words in ((False, ""), (True, ", first round safe")):
                    gain = _courses(book, world, edges, f"gain {spec} loss {share}{', first' if first else ''}")
                    shown = compared(mean_of(gain[:, 0]))
                    rows.append((world, str(edges), name + words, f"{share:g}", "-", shown, "-"))
    heads = ("world", "N", "what", "share", "its end / max", "headroom recovered", "rounds to settle")
    return markdown_table(heads, rows)


def judged9(book: Book) -> list[Verdict]:
    """What the paper says of Figure 9."""
    slower: list[Finding] = []
    level: list[Finding] = []
    best: list[Finding] = []
    for world, edges in _measured(book):
        who = f"{world}, N = {edges}"
        best += finding(who, mean_of(_courses(book, world, edges, "gain n2o")[:, 0] - GAINED), rises=True)
        if world == "P" and edges > SMALLEST:
            own, base = (_settling(book, "P", each, "share n2o") for each in (edges, SMALLEST))
            count = min(len(own), len(base))
            later = mean_of(own[:count] - base[:count])
            slower += finding(who, later, rises=True)
            level += finding(who, less(later, SLIGHT), rises=False)
    measure = "rounds to settle, less those of N = 4"
    return [
        verdict("N10", "9", "The number of edge servers has no significant influence on convergence.",
                f"{measure}, less {SLIGHT:g}", level),
        verdict("N10", "9", "More edge servers slightly delay convergence.", measure, slower),
        verdict("N11", "9", "N2O converges to the optimum of P2.",
                f"headroom recovered in 50 rounds, less {GAINED}", best),
    ]  # fmt: skip


def judged10(book: Book) -> list[Verdict]:
    """What the paper says of Figure 10."""
    same: list[Finding] = []
    within: list[Finding] = []
    slower: list[Finding] = []
    most = FAILING[-1]
    for world, edges in _measured(book):
        who = f"{world}, N = {edges}"
        ends = [_courses(book, world, edges, key)[:, -1] for key in (f"fail {most}", "share n2o")]
        same += finding(who, mean_of(np.abs(ends[0] - ends[1]) - SAME), rises=False)
        failing = _settling(book, world, edges, f"fail {most}")
        within += finding(who, mean_of(failing - ROUNDS[N2O]), rises=False)
        slower += finding(who, mean_of(failing - _settling(book, world, edges, "share n2o")), rises=True)
    return [
        verdict("N12", "10", "N2O converges to the same value whatever the links' failure.",
                f"end at failure {most} - end without, of the maximum, either way, less {SAME}", same),
        verdict("N12", "10", "It converges slower with more failure.",
                f"rounds to settle, failure {most} - none", slower),
        verdict("N12", "10", f"Within 50 rounds at failure {most}.", "rounds to settle, less 50", within),
    ]  # fmt: skip


def draw9(path: Path, book: Book) -> None:
    """P2 of N2O and of owner-side, round by round."""
    panels = []
    for world, edges in _measured(book):
        own = _courses(book, world, edges, "own")
        curves = [
            Curve(name, np.arange(values.shape[1], dtype=float), values, style)
            for style, (name, values) in enumerate(
                (name, _courses(book, world, edges, f"share {spec}")) for spec, name in zip(ROUNDS, NAMES, strict=True)
            )
        ]
        level = Curve("MA-DQL", np.array([0.0, 50.0]), np.repeat(own, 2, axis=1), len(ROUNDS), dashed=True)
        panels.append(Curves(f"{world}, N = {edges}", "round", [*curves, level]))
    draw_curves(path, TITLE9, "P2, part of its maximum", panels or [Curves("", "", [])])


NAMES: Final = ("N2O, last point", "N2O, average", "N2O, secants, shared centre", "owner-side", "max-sum", "consensus")


def draw10(path: Path, book: Book) -> None:
    """P2 of N2O round by round where links fail."""
    panels = []
    for world, edges in _measured(book):
        curves = []
        for style, share in enumerate((0.0, *FAILING)):
            values = _courses(book, world, edges, "share n2o" if not share else f"fail {share}")
            curves.append(Curve(f"failure {share:g}", np.arange(values.shape[1], dtype=float), values, style))
        panels.append(Curves(f"{world}, N = {edges}", "round", curves))
    draw_curves(path, TITLE10, "P2 by N2O, part of its maximum", panels or [Curves("", "", [])])
