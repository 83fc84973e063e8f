"""What a reproduction leaves: CSV and PNG of each figure, the statements one by one, a page, and one JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args

from agents.reproduction import writing
from agents.reproduction.verdicts import Verdict
from agents.ttosc.reproduction import page, pictures, real, verdicts
from agents.ttosc.reproduction.plan import (
    FIGURES,
    SCHEMES,
    Effort,
    FigureName,
    Measurement,
    default_measurements,
    measurements_of,
)
from agents.ttosc.reproduction.store import Store
from agents.ttosc.reproduction.tables import Sweep, defaults_of, sweeps_of
from agents.ttosc.reproduction.timing import Times, measured_times

FIGURE_NAMES: Final[tuple[FigureName, ...]] = get_args(FigureName)
IMAGES: Final = "img"


class Request(NamedTuple):
    """What was asked for.

    Attributes:
        names: Figures.
        effort: How much is measured.
        everything: Whether to compare all schemes in the default world, too.
        times: Whether to measure run times, too.
        milan: The scenario of real demand, if there is any.
        command: How to get it again.
    """

    names: tuple[FigureName, ...]
    effort: Effort
    everything: bool = False
    times: bool = False
    milan: Path | None = None
    command: str = ""


def wanted(request: Request) -> list[Measurement]:
    """What has to be measured."""
    found = [measurement for name in request.names for measurement in measurements_of(name, request.effort)]
    if request.everything:
        found += [measurement for scheme in SCHEMES for measurement in default_measurements(scheme, request.effort)]
    if request.milan is not None:
        found += [each for scheme in SCHEMES for each in real.measurements(request.milan, scheme, request.effort)]
    return found


def write(store: Store, request: Request, *, missing: Sequence[Measurement] = ()) -> dict[str, Any]:
    """Write everything that was asked for into the store's folder, from what is measured.

    Args:
        store: The measurements.
        request: What of them.
        missing: Those that are not made; the page names them.
    Returns: One document: files, verdicts, run times.
    """
    effort = request.effort
    store.open()
    images = store.path / IMAGES
    images.mkdir(exist_ok=True)
    sweeps = {name: sweeps_of(name, effort, store) for name in request.names}
    files, parts = ["page.md", "claims.csv"], []
    for name, panels in sweeps.items():
        made, text = _figure(store.path, name, panels)
        files += made
        parts.append(text)
    found = _verdicts(sweeps)
    head = []
    if request.everything:
        levels = defaults_of(effort, store)
        found.append(verdicts.best(levels, effort.seeds))
        head.append(f"## All schemes in the default world\n\n{page.schemes_table(levels, effort.seeds)}")
    document: dict[str, Any] = {"effort": effort.name, "missing": len(missing), "command": request.command}
    if request.times:
        spent = measured_times()
        found += verdicts.quick_enough(*spent)
        parts.append(_times(store.path, spent))
        document["times_s"] = spent._asdict()
    if request.milan is not None:
        parts.append(_milan(store, request.milan, effort))
    if found:
        head.insert(0, f"## Claim by claim\n\n{writing.claims_table(found)}")
    text = "\n\n".join([page.effort_line(effort, request.command, missing), *head, *parts])
    (store.path / "page.md").write_text(text + "\n", encoding="utf-8")
    (store.path / "claims.csv").write_text(writing.claims_csv(found), encoding="utf-8")
    document["claims"] = [verdict.builtin() for verdict in found]
    document["files"] = [str(store.path / name) for name in files]
    return document


def publish(store: Store, into: Path) -> None:
    """Write the page's text into a page of the documentation, and its pictures beside it."""
    writing.put_into(into, (store.path / "page.md").read_text(encoding="utf-8"), "ttosc")
    writing.copy_pictures(store.path / IMAGES, into.parent / IMAGES, "ttosc")


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
    (folder / "times.csv").write_text(writing.as_csv(("what", "paper_s", "here_s"), rows), encoding="utf-8")
    return f"## Run times\n\n{page.times_table(spent)}"


def _milan(store: Store, scenario: Path, effort: Effort) -> str:
    results = {scheme: [store.get(each) for each in real.measurements(scenario, scheme, effort)] for scheme in SCHEMES}
    picture = f"{IMAGES}/ttosc_real.png"
    compared = real.paired(results)
    real.draw_days(store.path / picture, compared)
    table = page.schemes_table(results, effort.learning_seeds)
    days = page.days_table(compared, real.FIRST_DAY, real.FRAMES_A_DAY)
    learned = real.LEARNED_DAYS * real.FRAMES_A_DAY
    how = (
        f"Agents learn from days 1 to {real.LEARNED_DAYS} ({learned} frames of an hour, in slots of ten minutes); days "
        f"{real.FIRST_DAY} to {real.LAST_DAY} count. Cloud only is left out of the plot."
    )
    return f"## Real demand\n\n{how}\n\n![Delay hour by hour on days 26 to 30]({picture})\n\n{table}\n\n{days}"


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
