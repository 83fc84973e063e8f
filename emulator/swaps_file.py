"""The swaps of a run as a file, ``swaps.csv``, to be done again in another run of the same scenario, frame by frame."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from bus.swap_messages import Swap
from emulator.errors import RunFolderError

DEADLINE_S = 120.0


def read(path: Path) -> list[Swap]:
    """What to ask a hub for so that agents change in the frames in which they did.

    Take-overs and returns are done again, whatever was the reason; what came to nothing is left out.

    Args:
        path: A run folder's ``swaps.csv``.
    Raises: RunFolderError: it cannot be read, or is none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        by_number: dict[int, list[dict[str, str]]] = {}
        for row in rows:
            by_number.setdefault(int(row["number"]), []).append(row)
        found = [_swap(rows) for rows in by_number.values()]
    except OSError as error:
        raise RunFolderError(f"{path}: {error.strerror}; give the swaps.csv of a run folder") from None
    except (ValueError, KeyError, UnicodeDecodeError):
        raise RunFolderError(f"{path}: is no swaps.csv of a run folder") from None
    return [swap for swap in found if swap is not None]


def _swap(rows: Iterable[Mapping[str, str]]) -> Swap | None:
    frames: dict[str, int] = {}
    edges: dict[int, None] = {}
    agent = ""
    for row in rows:
        frames[row["event"]] = int(row["frame"])
        edges[int(row["edge"])] = None
        agent = row["agent"]
    if "bound" not in frames:
        return None
    first, back = frames["bound"], frames.get("rolled back", -1)
    cold = "cold start" in frames and "handed over" not in frames  # whatever was the reason: to have the same numbers
    hold = frames["done"] - first if "done" in frames else -1
    return Swap(
        tuple(edges), agent, at_frame=first, hold_frames=hold, deadline_s=DEADLINE_S, back_frame=back, cold=cold
    )
