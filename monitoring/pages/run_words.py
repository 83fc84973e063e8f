"""What came of a run, in words."""

from __future__ import annotations

from typing import Final

from monitoring.pages.digits import THIN, percent, shown
from monitoring.runs import Document

RENTAL: Final = "rental"


def sentence(document: Document) -> str:
    """What came of the run, in one sentence."""
    run, slots = document["run"], document["run"]["slots"]
    lead = _ending(run)
    if not slots:
        return f"{lead or 'Nothing to tell: '}no slot was completed.".capitalize()
    said = _rental_outcome(document) if run["world"] == RENTAL else _outcome(document)
    said = f"{lead}{said[0].lower()}{said[1:]}" if lead else said
    return f"{said}; {_troubles(document)}."


def _ending(run: Document) -> str:
    """Empty for a run that ended as it should."""
    planned, slots = run["slots_planned"], run["slots"]
    part = f" after {slots:,} of {planned:,} slots" if planned else f" after {slots:,} slots"
    if run["interrupted"]:
        return f"Interrupted{part}: "
    if run["exit_code"]:
        why = f" ({run['reason']})" if run["reason"] else ""
        return f"Ended early{part} with exit code {run['exit_code']}{why}: "
    if run["exit_code"] is None:
        return f"Without an end{part}: "
    return ""


def _outcome(document: Document) -> str:
    delay = document["delay_s"]
    said = f"A task took {shown(delay['mean'])}{THIN}s under {deciders(document)}"
    if delay["saved_share"] is not None:
        less = "less" if delay["saved_share"] >= 0 else "more"
        said += (
            f", {percent(abs(delay['saved_share']))} {less} than all in the cloud ({shown(delay['all_cloud'])}{THIN}s)"
        )
    if delay["target"] is not None:
        met = "within" if delay["mean"] <= delay["target"] else "beyond"
        said += f" and {met} the target of {shown(delay['target'])}{THIN}s"
    return said


def _rental_outcome(document: Document) -> str:
    reward, tasks = document["reward"], document["tasks"]
    said = f"Agents ({deciders(document)}) earned {shown(reward['mean'])} a slot"
    if reward["units_mean"] is not None:
        said += f" with {shown(reward['units_mean'])} units rented"
    total = sum(tasks.values())
    if total and document["delay_s"]["mean"] is not None:
        away = percent(tasks["cloud"] / total)
        said += f"; a task took {shown(document['delay_s']['mean'])}{THIN}s at the edge, {away} went to the cloud"
    return said


def _troubles(document: Document) -> str:
    """Late, missed and refused decisions, and lost nodes, in words."""
    decisions = document["decisions"]
    missed, late, refused = (decisions[name] or 0 for name in ("missed", "late", "refused"))
    said = [_were(missed, "missed")] if missed else []
    if late or refused:
        said.append(_were(max(late, refused), "refused") + (f", {late:g} of them late" if late else ""))
    lost = sum(1 for event in document["events"] if event.get("kind") == "lost")
    if lost:
        said.append(f"{lost} {'process was' if lost == 1 else 'processes were'} lost")
    if decisions["missed"] is None and not said:
        return "whether decisions were missed is not known"
    return ", ".join(said) or "no decision was missed, late or refused"


def _were(count: float, what: str) -> str:
    return f"{count:g} {'decision was' if count == 1 else 'decisions were'} {what}"


def deciders(document: Document) -> str:
    """Who decided, a name or a few."""
    names = [str(agent.get("spec") or agent.get("name") or "?") for agent in document["agents"]]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} others"
