"""Switchbacks: blocks in random order, and what pairs of them may say."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import plan_of

from emulator.errors import ScenarioError
from emulator.scenario_file import load as load_scenario
from emulator.trials.live_only import LiveOnly
from emulator.trials.plan import load
from emulator.trials.switchback import Pair, judged, order, sign_flips
from monitoring.pages.trial_page import _switchback


def test_the_order_is_a_coin_of_each_pair_and_always_the_same() -> None:
    drawn = order(1, "t", 400)
    assert drawn == order(1, "t", 400)
    assert drawn[:40] == order(1, "t", 40), "a longer trial begins like a shorter one"
    assert drawn != order(2, "t", 400)
    first = sum(pair[0] == "candidate" for pair in drawn)
    assert 160 < first < 240
    assert all(set(pair) == {"candidate", "baseline"} for pair in drawn)


def pairs_of(effect_s: float, seed: int, count: int = 20) -> list[Pair]:
    """Demand that drifts from block to block, much more than what the candidate does."""
    generator = np.random.Generator(np.random.Philox(seed))
    level = 3.0 + np.cumsum(generator.normal(0.0, 0.05, 2 * count))
    found = []
    for k, arms in enumerate(order(seed, "t", count)):
        at = dict(zip(arms, level[2 * k : 2 * k + 2], strict=True))
        delays = {"candidate": float(at["candidate"] + effect_s), "baseline": float(at["baseline"])}
        found.append(Pair(arms[0], (40 * k, 40 * k + 20), *({"delay": delays[arm]} for arm in delays)))
    return found


@pytest.mark.parametrize(("effect_s", "word"), [(-0.3, "promoted"), (0.3, "rolled_back"), (0.0, "inconclusive")])
def test_a_clear_effect_is_found_though_demand_drifts(effect_s: float, word: str) -> None:
    verdict, facts = judged(pairs_of(effect_s, 5), "delay", 0.0, 0.05, 1)
    assert verdict.word == word
    assert len(facts["pairs"]) == 20
    assert facts["comparison"]["delay"]["low"] <= effect_s <= facts["comparison"]["delay"]["high"]


def test_without_an_effect_few_are_judged() -> None:
    """At most 5 % of 300, of either word: 15 and three standard deviations."""
    words = [judged(pairs_of(0.0, seed), "delay", 0.0, 0.05, 1)[0].word for seed in range(300)]
    assert sum(word != "inconclusive" for word in words) <= 15 + 3 * 3.8


def test_the_randomization_test_counts_what_the_coins_could_have_been() -> None:
    differences = np.array([3.0, 1.0, 2.0, -0.5, 1.5, 2.5])
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=6)))
    exact = float((np.abs(signs @ differences) >= differences.sum() - 1e-9).mean())
    assert sign_flips(differences, 1) == pytest.approx(exact, abs=0.01)
    assert sign_flips(np.zeros(20), 1) == 1.0


TOML = """
name = "t"
scenario = "quickstart"
baseline = "popularity"
candidate = "greedy"
[switchback]
pairs = 20
block_frames = 5
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("pairs = 20", "pairs = 19", "switchback.pairs: are 19, but a verdict needs at least 20 pairs of blocks"),
        ("block_frames = 5", "block_frames = 5\ndrop_frames = 5", "leave nothing of a block"),
        ("[switchback]", '[[stage]]\nkind = "all"\nframes = 3\n[switchback]', "may only be canaries"),
        ("[switchback]", "[guardrails]\ndelay_worse_share = 0.1\n[switchback]", "shares are of a twin's figures"),
        ('candidate = "greedy"', 'candidates = ["greedy", "random"]', "a switchback is of one"),
    ],
)
def test_what_a_switchback_cannot_be_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "T.toml").write_text(TOML)
    assert load(tmp_path / "T.toml").switchback is not None
    (tmp_path / "T.toml").write_text(TOML.replace(old, new))
    with pytest.raises(ScenarioError, match=said):
        load(tmp_path / "T.toml")


def test_it_needs_a_live_run_and_in_the_rental_world_longer_memory() -> None:
    def plan(**table: Any) -> Any:
        return plan_of(stage=[], switchback=table)

    with pytest.raises(ScenarioError, match="is of a live run"):
        LiveOnly(plan(), None)
    rental = load_scenario("quickstart-rental")
    with pytest.raises(ScenarioError, match="remember 4 slots"):
        LiveOnly(plan(drop_frames=3), rental)
    with pytest.raises(ScenarioError, match="nothing is left of a block"):
        LiveOnly(plan(block_frames=4), rental)
    assert LiveOnly(plan(), rental).mode == "live"


def test_the_page_shows_its_pairs() -> None:
    _, facts = judged(pairs_of(-0.3, 5), "delay", 0.0, 0.05, 1)
    blocks = {"block_frames": 20, "drop_frames": 1, **facts}
    figures = {"delay": {"unit": "s", "better": "lower"}}
    text = "".join(map(str, _switchback({"live": {"switchback": blocks}, "figures": figures})))
    assert "20 pairs of blocks" in text
    assert "Randomization test" in text
    assert _switchback({"live": None}) == []
