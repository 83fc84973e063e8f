"""What the reproduction of TTOSC measures: its figures, the schemes in them, and how long and how often.

The world is the default one (``docs/decisions/0004-demand.md``), static demand, and no scheme has a parameter of its
own at a point.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from agents.claims import CLAIMS, Axis, Point, Scheme

SCENARIO: Final = "paper-ttosc"
EVALUATED_FROM: Final = 1000
"""The first frame that counts, for all schemes alike; whoever learns has stopped learning before."""

LITERAL = Scheme("literal agents", "onnx", learns="literal")
TUNED = Scheme("tuned agents", "onnx", learns="tuned")
MARGINAL = Scheme("marginal agents", "onnx", learns="marginal")
DISTILLED = Scheme("distilled actors", "onnx", learns="distilled")
POPULARITY = Scheme("Popularity", "popularity")
GREEDY = Scheme("Greedy", "greedy", "greedy")
DDPG = Scheme("DDPG on ILS-30", "ils:30", "ddpg")
"""The paper does not say who deploys for its DDPG scheduler; the best that may be deployed by, here."""

MARGINAL_GREEDY = Scheme("marginal greedy, EWMA", "marginal-greedy:ewma")
ILS = Scheme("ILS-30, EWMA", "ils:30")
ORACLE = Scheme("oracle", "oracle")
CLOUD_ONLY = Scheme("cloud only", "cloud-only")
RANDOM = Scheme("random", "random")

SCHEMES: Final = (
    LITERAL,
    TUNED,
    MARGINAL,
    DISTILLED,
    POPULARITY,
    GREEDY,
    DDPG,
    MARGINAL_GREEDY,
    ILS,
    ORACLE,
    RANDOM,
    CLOUD_ONLY,
)
"""All of them, in the order of tables; a scheme keeps its mark and colour in every plot."""

PROPOSED: Final = (LITERAL, TUNED, MARGINAL, DISTILLED)
"""Readings of the paper's own scheme, the paper's figures first: networks that see their own cell, and a knapsack."""

PAPERS: Final = (POPULARITY, GREEDY, DDPG)
"""The paper's baselines."""

FigureName = Literal["fig4a", "fig4b", "fig5a", "fig5b", "fig6a", "fig6b"]


class Figure(NamedTuple):
    """One figure of the paper.

    Attributes:
        title: What it shows.
        axes: What is varied; one panel each.
        metric: What is drawn.
        schemes: Who is in it.
    """

    title: str
    axes: tuple[Axis, ...]
    metric: Literal["delay_s", "gain_s"]
    schemes: tuple[Scheme, ...]

    @property
    def shows_learning(self) -> bool:
        """Whether it also has learning curves."""
        return self.metric == "gain_s"


_FOURTH = (LITERAL, TUNED, MARGINAL)
_SIXTH = tuple(scheme for scheme in SCHEMES if scheme not in (LITERAL, TUNED, DDPG, ORACLE, RANDOM, CLOUD_ONLY))
_FIFTH = tuple(scheme for scheme in SCHEMES if scheme not in (RANDOM, CLOUD_ONLY))

FIGURES: Final[dict[FigureName, Figure]] = {
    "fig4a": Figure("Figure 4(a): learning with different numbers of cells", CLAIMS["c2"].axes, "gain_s", _FOURTH),
    "fig4b": Figure("Figure 4(b): learning with different numbers of services", CLAIMS["c7"].axes, "gain_s", _FOURTH),
    "fig5a": Figure("Figure 5(a): delay with different numbers of cells", CLAIMS["c5"].axes, "delay_s", _FIFTH),
    "fig5b": Figure("Figure 5(b): delay with different numbers of services", CLAIMS["c7"].axes, "delay_s", _FIFTH),
    "fig6a": Figure(
        "Figure 6(a): delay with the Zipf exponent and the number of users",
        (CLAIMS["c10"].axes[0], CLAIMS["c11"].axes[0]),
        "delay_s",
        _SIXTH,
    ),
    "fig6b": Figure("Figure 6(b): delay with compute and storage", CLAIMS["c12"].axes, "delay_s", _SIXTH),
}


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        name: ``full`` or ``quick``.
        seeds: Paired seeds of schemes that learn nothing.
        learning_seeds: Of those that learn, the first of the same seeds.
        default_seeds: Of those that learn, in the default world.
        learning_frames: Frames that are learned from, by preset.
        counted_frames: Frames that are counted.
        learning_points: Points at which whoever learns is measured, by the axis's label; at all, if left out.
        points: Points at which anybody is, likewise.
        default_only: Who learns (``Scheme.learns``) in the default world and on real demand only.
    """

    name: str
    seeds: int
    learning_seeds: int
    default_seeds: int
    learning_frames: dict[str, int]
    counted_frames: int
    learning_points: dict[str, tuple[float, ...]]
    points: dict[str, tuple[float, ...]]
    default_only: tuple[str, ...]

    def seeds_of(self, scheme: Scheme, point: Point | None) -> int:
        """Seeds of a scheme at a point, or in the default world."""
        if not scheme.learns:
            return self.seeds
        return self.default_seeds if point is None else self.learning_seeds


CELLS, SERVICES, ZIPF, USERS, COMPUTE, STORAGE = (
    CLAIMS[claim].axes[place].label
    for claim, place in (("c5", 0), ("c7", 0), ("c10", 0), ("c11", 0), ("c12", 0), ("c12", 1))
)
_ENDS: dict[str, tuple[float, ...]] = {
    CELLS: (3, 5, 9),
    SERVICES: (10, 20, 30),
    ZIPF: (0.6, 1.2, 1.8),
    USERS: (15, 30, 50),
    COMPUTE: (25, 50, 100),
    STORAGE: (0.5, 2, 3),
}
DEFAULTS: Final = {CELLS: 5, SERVICES: 20, ZIPF: 1.2, USERS: 30, COMPUTE: 50, STORAGE: 2}
"""Where the default world is on each axis."""

FULL: Final = Effort(
    name="full",
    seeds=5,
    learning_seeds=3,
    default_seeds=5,
    learning_frames={"literal": 800, "tuned": 600, "marginal": 600, "distilled": 600},
    counted_frames=40,
    learning_points={**_ENDS, STORAGE: (0.5, 2, 3, 4)},
    points={},
    default_only=(),
)
QUICK: Final = Effort(
    name="quick",
    seeds=3,
    learning_seeds=3,
    default_seeds=3,
    learning_frames={"literal": 200, "tuned": 200, "marginal": 200, "distilled": 200},
    counted_frames=20,
    learning_points=_ENDS,
    points={**_ENDS, STORAGE: (0.5, 2, 3, 4)},
    default_only=("tuned", "distilled"),
)


class Measurement(NamedTuple):
    """One scheme in one world with one seed.

    Attributes:
        overrides: Of the scenario.
        scheme: Who decides.
        seed: Draws world, demand and learning.
        learning_frames: Frames learned from; 0 where nothing is learned.
        counted_frames: Frames counted.
        first_frame: The first of them.
        scenario: Name or path.
    """

    overrides: tuple[str, ...]
    scheme: Scheme
    seed: int
    learning_frames: int
    counted_frames: int
    first_frame: int = EVALUATED_FROM
    scenario: str = SCENARIO

    @property
    def where(self) -> str:
        """The world in words."""
        if self.scenario != SCENARIO:
            return "real demand"
        return " ".join(change for change in self.overrides if "link_bps" not in change) or "default world"


def points_of(axis: Axis, effort: Effort) -> tuple[Point, ...]:
    """The points of an axis that are measured."""
    wanted = effort.points.get(axis.label)
    return tuple(point for point in axis.points if wanted is None or point.at in wanted)


def measurements_at(point: Point, axis: Axis, scheme: Scheme, effort: Effort) -> list[Measurement]:
    """What is to be measured of one scheme at one point, a measurement a seed; none where it is left out."""
    wanted = effort.learning_points.get(axis.label)
    if scheme.learns and wanted is not None and point.at not in wanted:
        return []
    if scheme.learns in effort.default_only and point.at != DEFAULTS[axis.label]:
        return []
    return _seeds(point.overrides, scheme, effort.seeds_of(scheme, point), effort)


def default_measurements(scheme: Scheme, effort: Effort) -> list[Measurement]:
    """The same in the default world."""
    return _seeds((), scheme, effort.seeds_of(scheme, None), effort)


def _seeds(overrides: tuple[str, ...], scheme: Scheme, seeds: int, effort: Effort) -> list[Measurement]:
    frames = effort.learning_frames[scheme.learns] if scheme.learns else 0
    return [Measurement(overrides, scheme, seed, frames, effort.counted_frames) for seed in range(1, seeds + 1)]


def measurements_of(name: FigureName, effort: Effort) -> Iterator[Measurement]:
    """All that a figure needs."""
    figure = FIGURES[name]
    for axis in figure.axes:
        for point in points_of(axis, effort):
            for scheme in figure.schemes:
                yield from measurements_at(point, axis, scheme, effort)
