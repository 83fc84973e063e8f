"""What `edgerig swap` says to whoever stops waiting."""

from __future__ import annotations

from typing import Any

import pytest

from bus.swap_messages import SwappedEdge, SwapState
from emulator.cli import swapping


class Interrupted:
    """A hub's client; Ctrl-C comes while it asks."""

    def call(self, *_asked: Any) -> Any:
        raise KeyboardInterrupt


def test_ctrl_c_ends_the_waiting_and_says_how_to_end_the_swap(capsys: pytest.CaptureFixture[str]) -> None:
    parts = tuple(SwappedEdge(edge, f"agent-{edge}-swap-7") for edge in (0, 3))
    state = SwapState(7, "ready", "popularity", parts, 1, 40)
    with pytest.raises(KeyboardInterrupt):
        swapping._await(Interrupted(), state)  # type: ignore[arg-type]
    assert capsys.readouterr().err == "swap 7 goes on; `edgerig swap 0,3 --rollback` calls it off\n"
