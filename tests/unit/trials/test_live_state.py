"""What a journal has of a live run, line by line: where a trial that was killed takes it up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emulator.errors import RunFolderError
from emulator.trials.live_state import Begun, From, LiveStage, check, read

RUN = {"event": "live_run", "run": 7}
BIND = {"event": "bind", "live": True, "stage": 0, "frame": 3, "candidates": [1]}
SWAP = {"event": "live_swap", "stage": 0, "number": 4}
FROM = {"event": "live_from", "stage": 0, "slot": 14, "done": 20.0, "delay_s": 2.5}
OVER = {"event": "live_stage", "stage": 0, "facts": {"kind": "canary", "edges": [1], "swap": 4, "frames": 20}}
ALL = {"event": "bind", "live": True, "stage": 1, "frame": 23, "candidates": [0, 1, 2]}
BACK: dict[str, Any] = {"event": "bind", "live": True, "candidates": []}


def test_a_trial_that_never_went_live_has_nothing_to_take_up() -> None:
    found = read([{"event": "trial"}, {"event": "bind", "stage": 0, "seed": 1, "frame": 0, "candidates": [1]}])
    assert (found.run, found.over, found.begun, found.broke) == (None, {}, None, None)


def test_it_is_taken_up_where_the_journal_ends() -> None:
    lines = [RUN, BIND, SWAP, FROM, OVER, ALL]
    assert read(lines[:2]).begun == (0, Begun([1])), "whether the swap was asked for is for the run to say"
    assert read(lines[:3]).begun == (0, Begun([1], 4))
    assert read(lines[:4]).begun == (0, Begun([1], 4, From(14, 20.0, 2.5)))
    assert read(lines[:5]).begun is None
    whole = read(lines)
    assert whole.run == 7
    assert whole.over == {0: LiveStage("canary", [1], 4, frames=20)}
    assert whole.begun == (1, Begun([0, 2])), "those that the stage before had are bound already"


def test_after_the_baseline_was_bound_again_stages_begin_anew_unless_something_broke() -> None:
    interrupted = read([RUN, BIND, SWAP, OVER, BACK, RUN])
    assert (interrupted.over, interrupted.begun, interrupted.broke) == ({}, None, None)
    broken = read([RUN, BIND, SWAP, {**BACK, "by": "late", "text": "late on the live run"}])
    assert broken.broke == ("late", "late on the live run")


def test_what_cannot_be_gone_on_with_is_said(tmp_path: Path) -> None:
    check([{"event": "trial"}, {"event": "verdict", "verdict": "promoted"}], tmp_path, live=False)
    check([RUN, BIND], tmp_path, live=True)
    with pytest.raises(RunFolderError, match="name its hub again, with --hub ADDRESS"):
        check([RUN, BIND], tmp_path, live=False)
    with pytest.raises(RunFolderError, match=r"the trial is over in its live run; its answer is .*trial\.json"):
        check([RUN, {"event": "verdict", "verdict": "promoted"}], tmp_path, live=True)
