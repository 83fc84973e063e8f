"""The pictures on the page of a trial: run minus twin with its confidence sequence, frames, stages side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from monitoring.pages.digits import percent, shown
from monitoring.pages.forest import Difference, forest
from monitoring.pages.lines import Line, Mark, Span, key, line_chart
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.run_charts import span
from monitoring.runs import Document

FAR: Final = 4.0
"""How far a confidence sequence may reach, in largest differences of a run, to be drawn whole."""


def run_minus_twin(document: Document, words: Mapping[str, str]) -> list[Child]:
    """For each statistical guardrail: how much worse than allowed, run by run, and what is known of its mean."""
    found: list[Child] = []
    for guard in document["guardrails"]:
        chart = _path(document, guard["figure"], guard["allowed_share"], words)
        if chart is not None:
            found.append(chart)
    return found


def _path(document: Document, figure: str, allowed_share: float, words: Mapping[str, str]) -> Markup | None:
    worse = 1.0 if document["figures"][figure]["better"] == "lower" else -1.0
    xs: list[float] = []
    harms: list[float] = []
    rims: list[float] = []
    lines: list[Line] = []
    spans: list[Span] = []
    marks: list[Mark] = []
    for number, stage in enumerate(document["stages"], start=1):
        first = float(len(xs)) + 1.0
        there = [run for run in stage["runs"] if figure in run["difference"]]
        if not there:
            continue
        places = [first + k for k in range(len(there))]
        xs += places
        harms += [worse * run["difference"][figure] - allowed_share * abs(run["twin"][figure]) for run in there]
        spans.append(Span(first - 0.5, places[-1] + 0.5, f"{number} {stage['kind']}"))
        for sequence in stage["sequential"]:
            if sequence["figure"] == figure:
                looks = sequence["path"]
                at = [places[min(look["pairs"], len(places)) - 1] for look in looks]
                ends = [[look[end] for look in looks] for end in ("low", "high")]
                name = "mean so far, with its confidence sequence" if not lines else ""
                lines.append(Line(name, at, [look["mean"] for look in looks], "var(--c0)", "", False, True, *ends))
                last = [value for end in ends for value in end[-1:] if value is not None]
                rims += [value for value in last if abs(value) <= FAR * max(map(abs, harms))]
                if sequence["crossed_at"] is not None:
                    text = f"known to be worse after {sequence['crossed_at']} runs"
                    marks.append(Mark(places[min(sequence["crossed_at"], len(places)) - 1], "stop", text))
        marks += [
            Mark(place, "stop", f"{run['breach']['guardrail']}: {run['breach']['text']}")
            for place, run in zip(places, there, strict=True)
            if run["breach"]
        ]
    if not xs:
        return None
    if len(xs) == 1:
        unit = document["figures"][figure]["unit"]
        side = "worse" if harms[0] > 0.0 else "better"
        said = f"One run was played: {words.get(figure, figure)} {shown(abs(harms[0]))} {unit} {side} than its twin's."
        return tag("p", said.replace("  ", " "), class_="quiet")
    reach = max(map(abs, harms)) or 1.0
    dots = Line("one run, beside its twin", xs, harms, "var(--quiet)", dots=True)
    rate = document["error_rates"]
    unit = document["figures"][figure]["unit"]
    allowed = f", {percent(allowed_share)} of the twin's taken off" if allowed_share else ""
    caption = (
        f"How much worse the run was than its twin ({words.get(figure, figure)}{allowed}): below 0 is good, and a band "
        f"that lies above 0 trips the guardrail. Where there is no band, nothing is known yet. A stage's bands hold "
        f"together with error rate {rate['sequential_each']:.3g}, those of the trial with {rate['sequential']:g}."
    )
    alt = f"{words.get(figure, figure)}, run minus twin, as harm, between {span(harms)} {unit}."
    chart = line_chart(
        caption,
        alt,
        [*lines, dots],
        "run",
        f"harm [{unit}]" if unit else "harm",
        marks,
        x_range=(0.5, xs[-1] + 0.5),
        y_range=(min(*harms, *rims, -reach * 0.25), max(*harms, *rims, reach * 0.25)),
        spans=spans,
        height=300.0,
    )
    return tag("div", chart, key(["stop"], {"stop": "a guardrail trips"}) if marks else None)


def frame_by_frame(document: Document) -> Markup | None:
    """Both worlds in the order in which their frames were played, with the stages' boundaries."""
    series = document["series"]
    name = "reward" if document["metric"] == "reward" else "delay"
    if not series or f"run_{name}" not in series:
        return None
    steps, each = series["step"], series["frames_a_point"]
    spans = [
        Span(float(stage["from_step"]), float(stage["to_step"]), _stage_name(document, stage["stage"]))
        for stage in series["stages"]
    ]
    drawn = [
        Line("its twin, all baseline", steps, series[f"twin_{name}"], "var(--quiet)", "thin"),
        Line("the run", steps, series[f"run_{name}"], "var(--c0)"),
    ]
    marks = list(_rollback(document))
    point = "each frame" if each == 1 else f"mean of {each} frames"
    caption = (
        f"{'Reward of a frame' if name == 'reward' else 'Delay of a task'}; {point}, the runs one after the other, "
        "each with a seed of its own."
    )
    alt = f"Run between {span(series[f'run_{name}'])}, twin between {span(series[f'twin_{name}'])}."
    label = "reward" if name == "reward" else "s per task"
    whole = (0.0, float(spans[-1].x_high))
    chart = line_chart(caption, alt, drawn, "frame, counted over all runs", label, marks, x_range=whole, spans=spans)
    return tag("div", chart, key(["stop"], {"stop": "the baseline is bound again"}) if marks else None)


def _stage_name(document: Document, index: int) -> str:
    stages = document["stages"]
    return f"{index + 1} {stages[index]['kind']}" if index < len(stages) else str(index + 1)


def _rollback(document: Document) -> Iterator[Mark]:
    """Where in the sequence of all frames the baseline was bound again."""
    rolled, series = document["rolled_back_at"], document["series"]
    if not rolled:
        return
    before, warm_up = 0, document["warmup_frames"]
    for index, stage in enumerate(document["stages"]):
        for run in stage["runs"]:
            if index == rolled["stage"] and run["seed"] == rolled["seed"]:
                at = min(before + rolled["frame"], series["stages"][-1]["to_step"])
                yield Mark(float(at), "stop", f"baseline again: {rolled['by']}")
                return
            before += stage["frames"] + warm_up


def differences(document: Document, words: Mapping[str, str]) -> Markup:
    """Stages beside each other, for delay and reward."""
    drawn = []
    for figure in ("delay", "reward"):
        rows = []
        for number, stage in enumerate(document["stages"], start=1):
            found = stage["comparison"].get(figure)
            if found and all(math.isfinite(found[end]) for end in ("low", "high")):
                points = [run["difference"][figure] for run in stage["runs"]]
                rows.append(Difference(f"{number} {stage['kind']}", found["mean"], found["low"], found["high"], points))
        facts = document["figures"].get(figure, {})
        said = "; ".join(f"{row.name} {shown(row.mean, sign=True)}" for row in rows)
        unit = f" [{facts['unit']}]" if facts.get("unit") else ""
        drawn.append(
            forest(
                f"Candidate minus twin: {words.get(figure, figure)}; a pale dot is a seed.",
                f"Difference of {words.get(figure, figure)} by stage: {said}.",
                rows,
                f"difference{unit}",
                facts.get("better", "lower"),
            )
        )
    return tag("div", *drawn, class_="two")
