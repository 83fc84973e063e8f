"""What a trial's folder has to say, as one document: trial.json, and its frames made short enough for pictures."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from monitoring.pages.series import binned, rounded
from monitoring.runs import Document, ReportError, read_table

ANSWER: Final = "trial.json"
JOURNAL: Final = "journal.jsonl"
FORMAT: Final = 1
VERDICTS: Final = ("promoted", "rolled_back", "inconclusive")
MOST_POINTS: Final = 400


def is_trial(folder: Path) -> bool:
    """Whether a folder is a trial's, over or not."""
    return (folder / ANSWER).is_file() or (folder / JOURNAL).is_file()


def document(folder: Path) -> Document:
    """Everything that the page of a trial shows.

    Raises: ReportError: the trial is not over, or its answer cannot be read.
    """
    path = folder / ANSWER
    try:
        answer: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReportError(
            f"{folder}: the trial is not over (no {ANSWER}); go on with `edgerig trial TRIAL.toml --resume {folder}`"
        ) from None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read ({error})") from None
    if not isinstance(answer, dict) or answer.get("kind") != "trial" or answer.get("verdict") not in VERDICTS:
        raise ReportError(f"{path}: is no trial's answer (kind trial, verdict one of {', '.join(VERDICTS)})")
    if answer.get("format") != FORMAT:
        raise ReportError(f"{path}: has format {answer.get('format')}; this edgerig reads {FORMAT}")
    notes: list[str] = []
    return {**answer, "folder": folder.resolve().name, "series": _series(folder, notes), "notes": notes}


def _series(folder: Path, notes: list[str]) -> Document:
    """Both worlds frame by frame, as the trial went; empty without its table."""
    path = folder / "frames.csv"
    try:
        table = read_table(path, texts=("kind",))
    except FileNotFoundError:
        notes.append("frames.csv is missing: there is no timeline of frames.")
        return {}
    except (OSError, ValueError, csv.Error) as error:
        notes.append(f"frames.csv cannot be read ({error}).")
        return {}
    if not len(table.get("step", ())):
        return {}
    count = len(table["step"])
    each = max(1, -(-count // MOST_POINTS))
    found: Document = {"frames_a_point": each, "step": list(range(0, count, each))}
    for name in ("run_delay", "twin_delay", "run_reward", "twin_reward"):
        if name in table:
            found[name] = rounded(binned(table[name], each))
    stages = table["stage"].astype(int)
    starts = [0, *(np.flatnonzero(np.diff(stages)) + 1).tolist(), count]
    found["stages"] = [
        {"stage": int(stages[first]), "from_step": int(first), "to_step": int(last)}
        for first, last in itertools.pairwise(starts)
    ]
    return found
