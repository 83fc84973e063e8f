"""A switchback: one network, in which candidate and baseline take turns in blocks of frames, in random order.

For a live run that no twin can be had of. Blocks come in pairs, one of each arm, and a coin says which comes first. The
first frames of a block still carry what the other arm did, and are dropped. A pair is one replicate.

Pure: no clock, no bus; ``switchback_run`` leads a live run through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.model.streams import Stream
from emulator.trials.figures import Arm, gain
from emulator.trials.plan import Switchback
from emulator.trials.rules import Verdict, Word
from monitoring.paired import compared

FLIPS: Final = 9999
CARRIED: Final = {"rental": 4, "offloading": 1}
"""Frames of a block that are dropped, by world: users of the rental world remember their delay for some slots."""

Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """A pair of blocks: who came first, from which frames on, and the figures of both arms."""

    first: Arm
    from_frames: tuple[int, int]
    candidate: dict[str, float]
    baseline: dict[str, float]


def order(seed: int, name: str, pairs: int) -> list[tuple[Arm, Arm]]:
    """Who comes first in each pair.

    Args:
        seed: The trial's first.
        name: Of the trial.
        pairs: How many.
    Source: ours: a coin for each pair of neighbouring blocks, so that what drifts slowly meets both arms alike.
    """
    coins = Stream(seed, f"/trial/{name}", "switchback", draws=1).uniforms(0, pairs)[:, 0]
    return [("candidate", "baseline") if coin < 0.5 else ("baseline", "candidate") for coin in coins]


def dropped(table: Switchback, world: str) -> int:
    """How many frames of each block do not count."""
    return table.drop_frames if table.drop_frames is not None else CARRIED[world]


def sign_flips(differences: Floats, seed: int) -> float:
    """Two-sided p-value of a randomization test: had the coins fallen otherwise, differences had other signs.

    Args:
        differences: Candidate minus baseline, shape (pair,).
        seed: Of the flips that are tried.
    Source: ours: Fisher's randomization test; it holds whatever the demand does from block to block, if the candidate
        changes nothing, since only the coins are random.
    """
    generator = Stream(seed, "/switchback", "flips", draws=1).generator(0)
    signs = np.where(generator.random((FLIPS, len(differences))) < 0.5, -1.0, 1.0)
    found = np.abs(signs @ differences) >= abs(differences.sum()) * (1.0 - 1e-12)
    return float(1 + found.sum()) / (1 + FLIPS)


def judged(
    pairs: Sequence[Pair], metric: str, gain_share: float, alpha: float, seed: int
) -> tuple[Verdict, dict[str, Any]]:
    """What pairs of blocks say: both the t interval over pairs and the randomization test must agree.

    Args:
        pairs: All of them.
        metric: The verdict rests on it.
        gain_share: Asked for, as a share of the baseline.
        alpha: Error rate of either.
        seed: Of the flips.
    Returns: The verdict, and the facts of ``trial.json``.
    """
    arms = {name: _arms(pairs, name) for name in pairs[0].candidate}
    run, base = arms[metric]
    gains = np.array([gain(metric, *both) for both in zip(run, base, strict=True)])
    beyond, nothing, level = gains - gain_share * np.abs(base), np.zeros(len(pairs)), 1.0 - alpha
    more, won = compared(beyond, nothing, level), compared(gains, nothing, level)
    p_more, p_won = sign_flips(beyond, seed), sign_flips(gains, seed)
    harmful = won.high < 0.0 and more.high < 0.0 and p_won <= alpha
    word: Word = "promoted" if more.low > 0.0 and p_more <= alpha else "rolled_back" if harmful else "inconclusive"
    share = 100.0 * won.mean / (abs(float(base.mean())) or 1.0)
    text = (
        f"gain in {metric} over {len(pairs)} pairs of blocks {won.mean:.4g}, {100 * level:.4g} % interval "
        f"{won.low:.4g} to {won.high:.4g} ({share:.2f} % of the baseline; asked for: more than "
        f"{100 * gain_share:g} %), randomization test p = {p_won:.3g}"
    )
    facts = {
        "pairs": [pair._asdict() for pair in pairs],
        "comparison": {name: compared(*both).builtin() for name, both in arms.items()},
        "sign_flip_p": p_won,
    }
    return Verdict(word, (text,), "interval"), facts


def _arms(pairs: Sequence[Pair], name: str) -> tuple[Floats, Floats]:
    return np.array([pair.candidate[name] for pair in pairs]), np.array([pair.baseline[name] for pair in pairs])
