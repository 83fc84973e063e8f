"""The swaps of a run are done again in another one, in the same frames: the same numbers, the same digest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from live_run import SMALL, finished

from monitoring.bag_commits import digest_of
from monitoring.bag_reader import Bag

pytestmark = pytest.mark.processes

SWAPS = """number,event,frame,edge,epoch,agent,reason
1,bound,3,0,2,marginal-popularity,
1,rolled back,6,0,3,marginal-popularity,it was asked for
2,bound,4,1,2,popularity,
2,done,5,1,2,popularity,
3,failed,2,1,0,popularity,nothing came of it
"""


def play(folder: Path, *arguments: str, how: str = "run") -> dict[str, Any]:
    done = finished(how, str(folder / "small.toml"), "--frames", "9", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    assert (summary["missed"], summary["refused"]) == (0, 0)
    return summary


def test_a_run_with_the_swaps_of_another_has_its_digest(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(SMALL)
    (tmp_path / "swaps.csv").write_text(SWAPS)
    first = play(tmp_path, "--record", "--out", str(tmp_path / "first"), "--swaps", str(tmp_path / "swaps.csv"))
    again = play(tmp_path, "--out", str(tmp_path / "again"), "--swaps", str(tmp_path / "first" / "swaps.csv"))
    plain = play(tmp_path, "--out", str(tmp_path / "plain"), how="sim")
    assert again["digest"] == first["digest"] != plain["digest"]
    stages = {swap["agent"]: (swap["stage"], swap["frame"], swap["rolled_back_frame"]) for swap in first["swaps"]}
    assert stages == {"marginal-popularity": ("rolled back", 3, 6), "popularity": ("done", 4, -1)}
    bag = digest_of(Bag(tmp_path / "first" / "run.mcap").records())
    assert (bag.digest, bag.missing) == (first["digest"], [])
    rows = {name: (tmp_path / name / "frames.csv").read_text().splitlines() for name in ("first", "again", "plain")}
    assert rows["again"] == rows["first"]
    assert rows["first"][: 1 + 3] == rows["plain"][: 1 + 3], "a policy at its host decides as it does as our agent"
    assert rows["first"] != rows["plain"]
