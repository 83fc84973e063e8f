"""The page of a trial, from its document."""

from __future__ import annotations

from typing import Final

from monitoring.pages.difference_table import INTERVALS, difference_row, difference_table, in_unit, interval
from monitoring.pages.digits import NOTHING, THIN, duration, percent, shown, whole, with_unit
from monitoring.pages.markup import Child, Markup, tag
from monitoring.pages.ran import footer, note_list
from monitoring.pages.style import card, cards, details, page, section, table
from monitoring.pages.trial_charts import differences, frame_by_frame, run_minus_twin
from monitoring.runs import Document

WORDS: Final = {"promoted": "promoted", "rolled_back": "rolled back", "inconclusive": "inconclusive"}
TONES: Final = {"promoted": "good", "rolled_back": "bad", "inconclusive": "warn"}
FIGURES: Final = {
    "delay": "delay of a task",
    "reward": "reward of a frame",
    "message_bytes": "message bytes of a decision",
    "memory": "memory of an agent",
}
HARD: Final = ("crash", "infeasible", "late")


def render(document: Document) -> str:
    """The page as HTML."""
    return page(
        f"{document['name']}: {WORDS[document['verdict']]}",
        _header(document),
        _cards(document),
        note_list(document["notes"]),
        section("Run minus twin", *run_minus_twin(document, FIGURES)),
        section("Frame by frame", frame_by_frame(document)),
        section("Differences over seeds", *_differences(document)),
        section("Switchback", *_switchback(document)),
        section("Guardrails", *_guardrails(document)),
        section("Decisions and messages", tag("div", _decisions(document), _bytes(document), class_="two")),
        section("Who else was touched", *_cells(document)),
        section("Run by run", *_runs(document)),
        section("What was tried", _tried(document)),
        footer(),
    )


def _header(document: Document) -> Markup:
    verdict = document["verdict"]
    badge = tag("span", WORDS[verdict], class_=f"badge {TONES[verdict]}")
    stages = ", then ".join(stage["kind"] for stage in document["stages"])
    over = tag("p", badge, f" trial {document['name']} \u00b7 {document['scenario']} \u00b7 {stages}", class_="over")
    more = [reason for reason in document["reasons"] if reason not in document["sentence"]]
    return tag("header", over, tag("h1", str(document["sentence"])), [tag("p", reason) for reason in more])


def deciding(document: Document) -> Document | None:
    """The last stage that has something to compare."""
    found = [stage for stage in document["stages"] if stage["comparison"]]
    return found[-1] if found else None


def _cards(document: Document) -> Markup:
    stage, metric = deciding(document), document["metric"]
    found: list[Markup] = []
    if stage is not None and metric in stage["comparison"]:
        gain = stage["comparison"][metric]
        unit = document["figures"][metric]["unit"]
        ends = f"95 %: {interval(gain['low'], gain['high'])}{THIN}{unit}".rstrip()
        better = (gain["mean"] < 0) == (document["figures"][metric]["better"] == "lower")
        sure = gain["low"] is not None and not gain["low"] <= 0.0 <= gain["high"]
        share = percent(gain["share"], sign=True) if gain["share"] is not None else shown(gain["mean"], sign=True)
        tone = ("good" if better else "bad") if sure else None
        found.append(card(f"{FIGURES.get(metric, metric)}, {stage['kind']}".capitalize(), share, "", ends, tone))
        values = f"{shown(gain['run_mean'])} / {shown(gain['baseline_mean'])}"
        found.append(card("Candidate / baseline", values, unit, f"{gain['pairs']} seeds, each with its twin"))
    rolled = document["rolled_back_at"]
    if rolled:
        where = f"{rolled['kind']}, seed {rolled['seed']}, frame {rolled['frame']}"
        found.append(card("Baseline again from", f"frame {rolled['frame']}", more=where))
        held = f"over {rolled['runs']} run{'s' if rolled['runs'] != 1 else ''}"
        found.append(card("Candidate had been bound", whole(rolled["candidate_frames"]), "frames", held))
    candidate, baseline = (document["decision_s"].get(arm) or {} for arm in ("candidate", "baseline"))
    if candidate.get("count"):
        said = f"baseline {with_unit(duration(baseline.get('p95')))}"
        found.append(card("Decision time, p95", *duration(candidate.get("p95")), said))
    missed = document["missed"]
    tone = "bad" if missed["candidate"] or missed["elsewhere"] else None
    figure = f"{missed['candidate']} / {missed['elsewhere']}"
    found.append(card("Missed decisions", figure, more="the candidate's / elsewhere", tone=tone))
    return cards(*found)


def _differences(document: Document) -> list[Child]:
    tables = []
    for number, stage in enumerate(document["stages"], start=1):
        rows = [
            difference_row(FIGURES.get(name, name), found, document["figures"][name])
            for name, found in stage["comparison"].items()
            if found["run_mean"] or found["baseline_mean"]
        ]
        if rows:
            caption = f"Stage {number}, {stage['kind']}: candidate minus twin{_labelled(stage)}"
            tables.append(difference_table(caption, ("baseline", "candidate"), rows))
    if not tables and (document.get("live") or {}).get("switchback"):
        return []
    if not tables:
        said = "The trial ended before two seeds had been played in a stage, so there is no interval."
        return [tag("p", said, class_="quiet")]
    return [differences(document, FIGURES), *tables, tag("p", INTERVALS, class_="quiet")]


def _switchback(document: Document) -> list[Child]:
    """A live run without a twin: blocks of the candidate against blocks of the baseline."""
    blocks = (document.get("live") or {}).get("switchback")
    if not blocks or "comparison" not in blocks:
        return []
    rows = [
        difference_row(FIGURES[name], found, document["figures"][name]) for name, found in blocks["comparison"].items()
    ]
    told = (
        "No twin could be had, so candidate and baseline took turns everywhere, in blocks of "
        f"{blocks['block_frames']} frames of which the first {blocks['drop_frames']} do not count; for each pair of "
        f"blocks a coin said who came first. Randomization test of the metric: p = {shown(blocks['sign_flip_p'])}."
    )
    caption = f"{len(blocks['pairs'])} pairs of blocks: candidate minus baseline"
    return [difference_table(caption, ("baseline", "candidate"), rows, "pairs"), tag("p", told, class_="quiet")]


def _labelled(stage: Document) -> str:
    return " (an estimate by the model: what agents see depends on what they decide)" if stage["estimate"] else ""


def _guardrails(document: Document) -> list[Child]:
    rolled = document["rolled_back_at"] or {}
    by = rolled.get("by")
    rows: list[list[Child]] = []
    for name in HARD:
        tripped = by == name
        what = f"tripped in stage {rolled['kind']}, seed {rolled['seed']}" if tripped else "held"
        rows.append([name, "at once", tag("span", what, class_="bad" if tripped else None)])
    for guard in document["guardrails"]:
        name, allowed = guard["figure"], guard["allowed_share"]
        crossed = [
            f"stage {stage['kind']}, after {each['crossed_at']} runs"
            for stage in document["stages"]
            for each in stage["sequential"]
            if each["figure"] == name and each["crossed_at"] is not None
        ]
        rule = f"at most {percent(allowed)} worse than the twin" if allowed else "not worse than the twin"
        what = f"tripped in {crossed[0]}" if crossed else "held"
        rows.append([FIGURES.get(name, name), rule, tag("span", what, class_="bad" if crossed else None)])
    rates = document["error_rates"]
    told = (
        "Statistical guardrails are one always-valid test: one may look after every run. Over the whole trial, "
        "a candidate that is not worse is rolled back by them with probability "
        f"{rates['sequential']:g} at most, {rates['sequential_each']:.4g} for each guardrail in each stage."
    )
    found = table(["guardrail", "acts", "outcome"], rows)
    return [found, tag("p", told, class_="quiet") if document["guardrails"] else None]


def _decisions(document: Document) -> Markup:
    if not any(document["decision_s"].values()) or document["mode"] == "live":
        return tag("p", "Decision times stand in the folders of the runs.", class_="quiet")
    rows: list[list[Child]] = []
    for name, key in (("decisions", "count"), ("p50", "p50"), ("p95", "p95"), ("slowest", "max")):
        cells: list[Child] = [name]
        for arm in ("baseline", "candidate"):
            value = (document["decision_s"].get(arm) or {}).get(key)
            cells.append(whole(value) if key == "count" else with_unit(duration(value)))
        rows.append(cells)
    return tag("div", table(["decision time", "baseline", "candidate"], rows, numbers=2))


def _bytes(document: Document) -> Markup | None:
    """Message bytes of a decision beside the reward."""
    stage = deciding(document)
    if stage is None:
        return None
    rows: list[list[Child]] = []
    for name in ("reward", "message_bytes", "memory"):
        found = stage["comparison"].get(name)
        if found:
            unit = document["figures"][name]["unit"]
            rows.append([FIGURES[name], in_unit(found["baseline_mean"], unit), in_unit(found["run_mean"], unit)])
    found = stage["comparison"].get("message_bytes")
    silent = found is not None and not found["run_mean"] and not found["baseline_mean"]
    why = "Neither arm's agents write to each other, so a decision takes no message between agents."
    note = tag("p", why, class_="quiet") if silent else None
    caption = f"mean over seeds, stage {stage['kind']}"
    return tag("div", table(["what it costs", "baseline", "candidate"], rows, caption=caption, numbers=2), note)


def _cells(document: Document) -> list[Child]:
    rows: list[list[Child]] = []
    for number, stage in enumerate(document["stages"], start=1):
        for key, name in (("candidate", "cells with the candidate"), ("others", "cells without it")):
            pairs = [run["cells"][key] for run in stage["runs"] if key in run["cells"]]
            pairs = [pair for pair in pairs if pair["run"] is not None and pair["twin"] is not None]
            if not pairs:
                continue
            run, twin = (sum(pair[side] for pair in pairs) / len(pairs) for side in ("run", "twin"))
            row: list[Child] = [
                f"{number}, {stage['kind']}",
                name,
                shown(twin),
                shown(run),
                shown(run - twin, sign=True),
            ]
            rows.append(row)
    if not rows:
        return []
    told = (
        "Delay of tasks, mean over runs. Edge servers of one run interact, so cells with and without the candidate are "
        "never compared with each other: each is compared with the same cells of the twin."
    )
    head = ["stage", "cells", "twin [s]", "run [s]", "difference [s]"]
    return [table(head, rows, numbers=3), tag("p", told, class_="quiet")]


def _runs(document: Document) -> list[Child]:
    metric = document["metric"]
    unit = document["figures"][metric]["unit"]
    rows: list[list[Child]] = []
    for number, stage in enumerate(document["stages"], start=1):
        for run in stage["runs"]:
            breach = run["breach"] or {}
            said = (
                f"{breach['guardrail']}: {breach['text']} (edge server {breach['edge']}, frame {breach['frame']})"
                if breach
                else ""
            )
            rows.append(
                [
                    f"{number}, {stage['kind']}",
                    str(run["seed"]),
                    said,
                    str(run["frames"]),
                    shown(run["twin"].get(metric), 4),
                    shown(run["run"].get(metric), 4),
                    shown(run["difference"].get(metric), 3, sign=True),
                    str(run["missed"] + run["missed_elsewhere"]),
                ]
            )
    if not rows and (document.get("live") or {}).get("switchback"):
        return []
    per = f" [{unit}]" if unit else ""
    head = ["stage", "seed", "breach", "frames", f"twin{per}", f"run{per}", "difference", "missed"]
    whole_table = table(head, rows, caption=FIGURES.get(metric, str(metric)), numbers=5)
    folded = whole_table if len(rows) <= 10 else details(f"{len(rows)} runs", whole_table)
    told = "Runs on the bus have folders of their own, runs/STAGE-SEED with stages from 0; `edgerig report` shows each."
    return [folded, tag("p", told, class_="quiet") if document["mode"] != "in-process" else None]


def _tried(document: Document) -> Markup:
    seeds = document["seeds"]
    asked = document["gain_share_asked"]
    facts: list[tuple[str, object]] = [
        ("trial", document["name"]),
        ("", document["description"]),
        ("baseline", document["baseline"]),
        ("candidate", document["candidate"]),
        ("scenario, world", f"{document['scenario']}, {document['world']}"),
        ("played", document["mode"]),
        ("seeds", f"{len(seeds)}: {seeds[0]} to {seeds[-1]}" if seeds else NOTHING),
        ("warm-up", f"{document['warmup_frames']} frames of each run"),
        ("rule", f"{FIGURES.get(document['metric'], document['metric'])}, gain above {percent(asked)}"),
    ]
    rows: list[list[Child]] = [
        [name, tag("span", str(value), style="overflow-wrap:anywhere")]
        for name, value in facts
        if value not in (None, "")
    ]
    for number, stage in enumerate(document["stages"], start=1):
        edges = ", ".join(map(str, stage["edges"]))
        done = f"{len(stage['runs'])} of {stage['planned_runs']} runs of {stage['frames']} frames"
        rows.append([f"stage {number}", f"{stage['kind']}: edge servers {edges}; {done}"])
    return table(["what", ""], rows)
