"""The paper's statements, each held against what was measured.

A statement is about some schemes, or pairs of them. For each, the paired change has a 95 % interval; the statement
holds if that is on the claimed side of 0 for all of them, with a caveat if for some, and does not hold if for none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from agents.claims import Scheme
from agents.reproduction.comparing import difference
from agents.reproduction.verdicts import Finding, Verdict, Word, finding, verdict
from agents.ttosc.reproduction.measuring import Result
from agents.ttosc.reproduction.plan import (
    DDPG,
    GREEDY,
    ILS,
    LITERAL,
    MARGINAL,
    PAPERS,
    POPULARITY,
    PROPOSED,
    FigureName,
)
from agents.ttosc.reproduction.tables import (
    Sweep,
    converged_after,
    delay_of,
    delays_of,
    gain_of,
)
from emulator.model.offloading import Floats

ENOUGH_STORAGE: Final = 3.0
"""[C_m] beyond which the paper sees no gain; it gives no unit, we read GB."""

PAPERS_SCHEDULING_S, PAPERS_DEPLOYMENT_S = 0.00721, 0.01939
"""What the paper needs on its own machine."""

STANDING_IN: Final = (*PROPOSED, ILS)
"""For Figure 6, where agents are not trained at every point: also a plan that is nearly the best, as the paper's is."""

Sweeps = dict[FigureName, list[Sweep]]


def _for_proposed(verdict: Verdict) -> Verdict:
    """A statement about the proposed scheme holds with a caveat at most, where only a stand-in was measured."""
    names = tuple(scheme.name for scheme in PROPOSED)
    if verdict.word == "holds" and not any(finding.who.startswith(names) for finding in verdict.findings):
        return verdict._replace(word="holds with a caveat")
    return verdict


def _ends(sweep: Sweep, scheme: Scheme, figure: Callable[[Result], float]) -> tuple[Floats, Floats] | None:
    """A scheme's values at the first and the last point where it was measured, each of shape (seed,)."""
    values = sweep.values(scheme, figure)
    there = np.flatnonzero(np.isfinite(values).any(axis=1))
    return (values[there[0]], values[there[-1]]) if len(there) > 1 else None


def _trend(sweep: Sweep, schemes: Sequence[Scheme], figure: Callable[[Result], float], *, rises: bool) -> list[Finding]:
    findings = []
    for scheme in schemes:
        ends = _ends(sweep, scheme, figure)
        if ends is not None:
            findings += finding(scheme.name, difference(ends[1], ends[0]), rises=rises)
    return findings


def _gaps(sweep: Sweep, baselines: Sequence[Scheme], own: Sequence[Scheme], *, rises: bool) -> list[Finding]:
    """Change of how far a baseline is behind a scheme, between the ends of an axis."""
    findings = []
    for scheme in own:
        mine = _ends(sweep, scheme, delay_of)
        for baseline in baselines:
            theirs = sweep.values(baseline, delay_of)
            at = np.flatnonzero(np.isfinite(sweep.values(scheme, delay_of)).any(axis=1))
            if mine is None:
                continue
            gaps = [theirs[place] - values for place, values in zip((at[0], at[-1]), mine, strict=True)]
            who = f"{baseline.name} - {scheme.name}"
            findings += finding(who, difference(gaps[1], gaps[0]), rises=rises)
    return findings


def by_learning_with_cells(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 4(a)."""
    return _learning(sweeps["fig4a"][0], ("C1", "C2"), "4a", "cells", rises=True)


def by_learning_with_services(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 4(b)."""
    return _learning(sweeps["fig4b"][0], ("C3", "C3"), "4b", "services", rises=False)


def _learning(sweep: Sweep, names: tuple[str, str], figure: str, what: str, *, rises: bool) -> list[Verdict]:
    slower = _trend(sweep, PROPOSED, converged_after, rises=True)
    reward = _trend(sweep, PROPOSED, gain_of, rises=rises)
    return [
        verdict(names[0], figure, f"With more {what} it takes more iterations to converge.",
                 "frames to within 5 %, last - first", slower),
        verdict(names[1], figure, f"With more {what} the average reward {'grows' if rises else 'falls'}.",
                 "reward of a slot, s, last - first", reward),
    ]  # fmt: skip


def by_cells(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 5(a)."""
    sweep = sweeps["fig5a"][0]
    return [
        verdict("C5", "5a", "The delay of every scheme falls with more cells.", "delay, s, last - first",
                 _trend(sweep, (*PROPOSED, *PAPERS), delay_of, rises=False)),
        verdict("C6", "5a", "The baselines' gap to the proposed scheme widens with more cells.",
                 "gap, s, last - first", _gaps(sweep, PAPERS, (LITERAL, MARGINAL), rises=True)),
    ]  # fmt: skip


def by_services(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 5(b)."""
    sweep = sweeps["fig5b"][0]
    return [
        verdict("C7", "5b", "The delay of every scheme grows with the number of services.", "delay, s, last - first",
                 _trend(sweep, (*PROPOSED, *PAPERS), delay_of, rises=True)),
        verdict("C8", "5b", "The gap of Popularity and Greedy to the proposed scheme grows with the services.",
                 "gap, s, last - first", _gaps(sweep, (POPULARITY, GREEDY), (LITERAL, MARGINAL), rises=True)),
        verdict("C9", "5b", "With few services (fewer than 15) Popularity beats DDPG.",
                 "delay, s, difference at the least J", _beside(sweep, POPULARITY, DDPG, 0)),
        verdict("C9", "5b", "With many services DDPG beats Popularity.",
                 "delay, s, difference at the most J", _beside(sweep, DDPG, POPULARITY, -1)),
    ]  # fmt: skip


def _beside(sweep: Sweep, scheme: Scheme, other: Scheme, place: int) -> list[Finding]:
    """Whether a scheme is ahead of another at one point."""
    own, theirs = (sweep.values(each, delay_of)[place] for each in (scheme, other))
    return finding(f"{scheme.name} - {other.name}", difference(own, theirs), rises=False)


def by_demand(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 6(a)."""
    zipf, users = sweeps["fig6a"]
    found = [
        verdict("C10", "6a", "The proposed scheme's delay falls as the Zipf exponent grows.", "delay, s, last - first",
                 _trend(zipf, STANDING_IN, delay_of, rises=False)),
        verdict("C11", "6a", "Its delay grows with the mean number of users.", "delay, s, last - first",
                 _trend(users, STANDING_IN, delay_of, rises=True)),
    ]  # fmt: skip
    return [_for_proposed(verdict) for verdict in found]


def by_resources(sweeps: Sweeps) -> list[Verdict]:
    """What the paper says of Figure 6(b)."""
    compute, storage = sweeps["fig6b"]
    more = [_trend(sweep, STANDING_IN, delay_of, rises=False) for sweep in (compute, storage)]
    found = [
        verdict("C12", "6b", "More compute or more storage lowers its delay.", "delay, s, last - first",
                 [finding._replace(who=f"{finding.who}, {what}")
                  for findings, what in zip(more, ("compute", "storage"), strict=True) for finding in findings]),
        verdict("C13", "6b", "Storage beyond 3 brings no further gain.", "delay, s, most - 3 GB",
                 _level(storage)),
    ]  # fmt: skip
    return [_for_proposed(verdict) for verdict in found]


def _level(storage: Sweep) -> list[Finding]:
    """Whether storage beyond what the paper calls enough changes nothing that could be told from nothing."""
    at = storage.at(ENOUGH_STORAGE)
    findings = []
    for scheme in storage.results:
        values = storage.values(scheme, delay_of)
        found = difference(values[-1], values[at]) if at is not None else None
        if found is not None:
            gains = found.interval.excludes_zero and found.interval.mean < 0.0
            findings.append(Finding(scheme.name, found, not gains, gains))
    return findings


def best(defaults: dict[Scheme, list[Result | None]], seeds: int) -> Verdict:
    """What the paper says above all: that its scheme is better than the baselines, in the default world."""
    findings = []
    for scheme in PROPOSED:
        own = delays_of(defaults[scheme], seeds)
        for baseline in PAPERS:
            found = difference(own, delays_of(defaults[baseline], seeds))
            findings += finding(f"{scheme.name} - {baseline.name}", found, rises=False)
    says = "The proposed scheme has a lower delay than the baselines."
    return verdict("C14", "5", says, "delay, s, difference", findings)


def quick_enough(scheduling_s: float, deployment_s: float) -> list[Verdict]:
    """What the paper says of run times; ours are medians, so there is no interval."""
    verdicts = []
    for says, ours_s, theirs_s in (
        ("Scheduling a slot takes 7.21 ms.", scheduling_s, PAPERS_SCHEDULING_S),
        ("Deciding a frame's deployment takes 19.39 ms.", deployment_s, PAPERS_DEPLOYMENT_S),
    ):
        word: Word = "holds" if ours_s <= theirs_s else "does not hold"
        verdicts.append(Verdict("C4", "times", says, f"here {1e3 * ours_s:.3g} ms", (), word))
    return verdicts
