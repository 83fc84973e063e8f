"""The page of several candidates tried against one baseline, from trials.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from monitoring.pages.difference_table import INTERVALS, difference_row, difference_table, in_unit, interval
from monitoring.pages.digits import NOTHING, duration, percent, with_unit
from monitoring.pages.forest import Difference, forest
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.ran import footer
from monitoring.pages.style import page, section, table
from monitoring.pages.trial_page import FIGURES, TONES, WORDS
from monitoring.runs import Document, ReportError

ANSWER: Final = "trials.json"
FORMAT: Final = 1
COSTS: Final = ("reward", "message_bytes", "memory")


def is_trials(folder: Path) -> bool:
    """Whether a folder holds the trials of several candidates, all of them over."""
    return (folder / ANSWER).is_file()


def document(folder: Path) -> Document:
    """Everything that the page shows.

    Raises: ReportError: it cannot be read.
    """
    path = folder / ANSWER
    try:
        answer: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"{path}: cannot be read ({error})") from None
    if not isinstance(answer, dict) or answer.get("kind") != "trials" or answer.get("format") != FORMAT:
        raise ReportError(f"{path}: is no answer over several candidates of format {FORMAT} (kind trials)")
    return {**answer, "folder": folder.resolve().name}


def render(document: Document) -> str:
    """The page as HTML."""
    return page(
        f"{document['name']}: {WORDS[document['verdict']]}",
        _header(document),
        section("Candidates", _verdicts(document)),
        section("Against the baseline", *_differences(document)),
        section("The best against the others", _lead(document)),
        section("What a decision costs", _costs(document)),
        footer(),
    )


def _header(document: Document) -> Markup:
    verdict = document["verdict"]
    badge = tag("span", WORDS[verdict], class_=f"badge {TONES[verdict]}")
    said = f" trial {document['name']} \u00b7 {document['scenario']} \u00b7 {len(document['candidates'])} candidates"
    described = tag("p", document["description"]) if document["description"] else None
    return tag("header", tag("p", badge, said, class_="over"), tag("h1", document["sentence"]), described)


def _verdicts(document: Document) -> Markup:
    rows: list[list[Child]] = []
    for number, each in enumerate(document["candidates"], start=1):
        badge = tag("span", WORDS[each["verdict"]], class_=f"badge {TONES[each['verdict']]}")
        missed = f"{each['missed']['candidate']} / {each['missed']['elsewhere']}"
        best = "best" if document["best"] == number else ""
        rows.append([each["folder"], each["candidate"], badge, best, each["sentence"], missed])
    return table(["folder", "candidate", "verdict", "", "why", "missed, its / elsewhere"], rows, numbers=1)


def _differences(document: Document) -> list[Child]:
    metric = document["metric"]
    facts = document["figures"][metric]
    there = [each for each in document["candidates"] if metric in each["comparison"]]
    if not there:
        return []
    rows = [difference_row(_called(each), each["comparison"][metric], facts) for each in there]
    drawn = []
    for each in there:
        found = each["comparison"][metric]
        drawn.append(Difference(_called(each), found["mean"], found["low"], found["high"], each["differences"]))
    words = FIGURES.get(metric, metric)
    unit = f" [{facts['unit']}]" if facts["unit"] else ""
    caption = f"Candidate minus twin: {words}, last stage that was reached; a pale dot is a seed."
    chart = forest(caption, f"Differences of {words} by candidate.", drawn, f"difference{unit}", facts["better"])
    rates = document["error_rates"]
    shared = (
        f"{rates['shared_by']} candidates share the error rates: {percent(rates['interval'])} of the verdicts' "
        f"intervals, {percent(rates['sequential'])} of the statistical guardrails."
    )
    told = tag("p", f"{INTERVALS} {shared}", class_="quiet")
    return [
        tag("div", chart, class_="two"),
        difference_table(f"{words}, candidate minus twin", ("baseline", "candidate"), rows),
        told,
    ]


def _called(each: Document) -> str:
    return f"{each['candidate']}, {each['stage']}"


def _lead(document: Document) -> Markup | None:
    rows: list[list[Child]] = []
    for each in document["best_against"]:
        share = percent(each["share"], sign=True) if each["share"] is not None else NOTHING
        known = "better" if each["known"] else "not known"
        ends = interval(each["low"], each["high"])
        rows.append([each["candidate"], known, percent(each["level"]), ends, share, str(each["pairs"])])
    if not rows:
        return None
    head = ["against", "the best is", "level", f"difference of {document['metric']}", "share", "seeds"]
    return table(head, rows, caption="Paired by seed; all pairs of candidates share the error rate.", numbers=4)


def _costs(document: Document) -> Markup:
    """Message bytes of a decision beside the reward, and how long it takes."""
    rows: list[list[Child]] = []
    for each in document["candidates"]:
        cells: list[Child] = [_called(each)]
        for name in COSTS:
            found = each["comparison"].get(name)
            unit = document["figures"][name]["unit"]
            pair = (in_unit(found[arm], unit) for arm in ("run_mean", "baseline_mean")) if found else ()
            cells.append(" / ".join(pair) or NOTHING)
        cells.append(with_unit(duration((each["decision_s"].get("candidate") or {}).get("p95"))))
        rows.append(cells)
    head = ["candidate", *(FIGURES[name] for name in COSTS), "decision time, p95"]
    return table(head, rows, caption="Candidate / baseline, mean over seeds", numbers=4)
