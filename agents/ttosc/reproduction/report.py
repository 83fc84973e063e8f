"""What a reproduction leaves: CSV and PNG of each figure, the statements one by one, a page, and one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from agents.ttosc.reproduction import page, pictures, verdicts
from agents.ttosc.reproduction.plan import FIGURES, SCHEMES, Effort, FigureName, Measurement, measurements_of
from agents.ttosc.reproduction.plan import default_measurements as defaults
from agents.ttosc.reproduction.store import Store
from agents.ttosc.reproduction.tables import Sweep, defaults_of, sweeps_of
from agents.ttosc.reproduction.timing import Times, measured_times
from agents.ttosc.reproduction.verdicts import Verdict

FIGURE_NAMES: Final[tuple[FigureName, ...]] = get_args(FigureName)
IMAGES: Final = "img"


def wanted(names: Sequence[FigureName], effort: Effort, *, everything: bool) -> list[Measurement]:
    """What has to be measured."""
    found = [measurement for name in names for measurement in measurements_of(name, effort)]
    if everything:
        found += [measurement for scheme in SCHEMES for measurement in defaults(scheme, effort)]
    return found


def write(
    store: Store, names: Sequence[FigureName], effort: Effort, *, times: bool, everything: bool, command: str
) -> dict[str, Any]:
    """Write everything that was asked for into the store's folder, from what is measured.

    Args:
        store: The measurements.
        names: Figures.
        effort: As it was measured.
        times: Whether to measure run times, too.
        everything: Whether to compare all schemes in the default world, too.
        command: How to get it again.
    Returns: One document: files, verdicts, run times.
    """
    images = store.path / IMAGES
    images.mkdir(exist_ok=True)
    sweeps = {name: sweeps_of(name, effort, store) for name in names}
    files, parts = [], []
    for name, panels in sweeps.items():
        made, text = _figure(store.path, name, panels)
        files += made
        parts.append(text)
    found = _verdicts(sweeps)
    head = [page.effort_line(effort, command)]
    if everything:
        levels = defaults_of(effort, store)
        found.append(verdicts.best(levels, effort.seeds))
        head.append(f"## All schemes in the default world\n\n{page.defaults_table(levels, effort.seeds)}")
    document: dict[str, Any] = {"effort": msgspec.to_builtins(effort.name), "command": command}
    if times:
        spent = measured_times()
        found += verdicts.quick_enough(*spent)
        parts.append(_times(store.path, spent))
        document["times_s"] = spent._asdict()
    (store.path / "claims.csv").write_text(page.claims_csv(found), encoding="utf-8")
    head.insert(1, f"## Claim by claim\n\n{page.claims_table(found)}")
    (store.path / "page.md").write_text("\n\n".join([*head, *parts]) + "\n", encoding="utf-8")
    document["claims"] = [_builtin(verdict) for verdict in found]
    document["files"] = [str(store.path / name) for name in ("page.md", "claims.csv", *files)]
    return document


def publish(store: Store, into: Path) -> None:
    """Write the page's text into a page of the documentation, and its pictures beside it."""
    page.put_into(into, (store.path / "page.md").read_text(encoding="utf-8"))
    (into.parent / IMAGES).mkdir(exist_ok=True)
    for picture in sorted((store.path / IMAGES).glob("ttosc_*.png")):
        (into.parent / IMAGES / picture.name).write_bytes(picture.read_bytes())


def _figure(folder: Path, name: FigureName, panels: list[Sweep]) -> tuple[list[str], str]:
    """Files of one figure, and its part of the page."""
    figure = FIGURES[name]
    files = [f"{name}.csv", f"{IMAGES}/ttosc_{name}.png"]
    (folder / files[0]).write_text(page.sweep_csv(panels), encoding="utf-8")
    if figure.shows_learning:
        files.append(f"{name}_curves.csv")
        (folder / files[-1]).write_text(page.curves_csv(panels[0]), encoding="utf-8")
        pictures.draw_curves(folder / files[1], name, panels[0])
    else:
        pictures.draw_sweeps(folder / files[1], name, panels)
    tables = "\n\n".join(page.sweep_table(panel, name) for panel in panels)
    return files, f"## {figure.title}\n\n![{figure.title}]({files[1]})\n\n{tables}"


def _times(folder: Path, spent: Times) -> str:
    rows = (("scheduling_s", 0.00721, spent.scheduling_s), ("deployment_s", 0.01939, spent.deployment_s))
    (folder / "times.csv").write_text(page.as_csv(("what", "paper_s", "here_s"), rows), encoding="utf-8")
    return f"## Run times\n\n{page.times_table(spent)}"


def _verdicts(sweeps: verdicts.Sweeps) -> list[Verdict]:
    found: list[Verdict] = []
    for name, judge in (
        ("fig4a", verdicts.by_learning_with_cells),
        ("fig4b", verdicts.by_learning_with_services),
        ("fig5a", verdicts.by_cells),
        ("fig5b", verdicts.by_services),
        ("fig6a", verdicts.by_demand),
        ("fig6b", verdicts.by_resources),
    ):
        if name in sweeps:
            found += judge(sweeps)
    return found


def _builtin(verdict: Verdict) -> dict[str, Any]:
    found = [
        {"who": finding.who, **finding.found.interval._asdict(), "seeds": finding.found.seeds, "agrees": finding.agrees}
        for finding in verdict.findings
    ]
    return {**verdict._asdict(), "findings": found}
