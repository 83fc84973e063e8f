"""What a reproduction of N2O leaves: CSV and PNG of each figure, the claims one by one, a page, one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from agents.n2o.reproduction import bars, figure4, figure5, figure6, figure7, figure8, figure9, figure11, rates, table2
from agents.n2o.reproduction.measuring import Part, Store
from agents.n2o.reproduction.plan import (
    ADAPTED,
    CENTRALIZED,
    DECISIONS,
    HEADROOM,
    LOCAL,
    Effort,
    FigureName,
    Job,
    jobs_of,
    merged,
)
from agents.n2o.reproduction.tables import NAMES, Book
from agents.reproduction import writing
from agents.reproduction.verdicts import Verdict

IMAGES: Final = "img"
PAPER: Final = "n2o"
PARTS: Final = {
    LOCAL: "training of MA-DQL",
    CENTRALIZED: "training of centralized DQL",
    HEADROOM: "rounds and failing links",
    DECISIONS: "rentals by hour and price",
    ADAPTED: "another demand",
}


class Figure(NamedTuple):
    """One figure of the paper.

    Attributes:
        title: What it shows.
        table: Its figures, in Markdown.
        judged: What the paper says of it, and what was found.
        draw: Writes its PNG; None where there is nothing to draw.
        ready: Whether enough is measured to show it.
    """

    title: str
    table: Callable[[Book], str]
    judged: Callable[[Book], list[Verdict]]
    draw: Callable[[Path, Book], None] | None
    ready: Callable[[Book], bool] = lambda book: True


FIGURES: Final[dict[FigureName, Figure]] = {
    "fig4": Figure(figure4.TITLE, figure4.table, figure4.judged, figure4.draw),
    "fig5": Figure(figure5.TITLE, figure5.table, figure5.judged, figure5.draw),
    "fig6": Figure(figure6.TITLE, figure6.table, figure6.judged, figure6.draw, figure6.ready),
    "table2": Figure(table2.TITLE, table2.table, table2.judged, None),
    "fig7": Figure(figure7.TITLE, figure7.table, figure7.judged, figure7.draw),
    "fig8": Figure(figure8.TITLE, figure8.table, figure8.judged, figure8.draw, figure8.ready),
    "fig9": Figure(figure9.TITLE9, figure9.table9, figure9.judged9, figure9.draw9),
    "fig10": Figure(figure9.TITLE10, figure9.table10, figure9.judged10, figure9.draw10),
    "fig11": Figure(figure11.TITLE, figure11.table, figure11.judged, figure11.draw),
    "theory": Figure(rates.TITLE, rates.table, rates.judged, rates.draw),
}


def wanted(names: Sequence[FigureName], effort: Effort) -> list[Job]:
    """What has to be measured for some figures."""
    return merged([job for name in names for job in jobs_of(name, effort)])


def write(
    store: Store, names: Sequence[FigureName], effort: Effort, *, command: str, missing: Sequence[Job] = ()
) -> dict[str, Any]:
    """Write everything that was asked for into the store's folder, from what is measured.

    Args:
        store: The measurements.
        names: Figures.
        effort: How much was to be measured.
        command: How to get it again.
        missing: What is not made; the page names it.
    Returns: One document: files and verdicts.
    """
    store.open()
    (store.path / IMAGES).mkdir(exist_ok=True)
    book = Book(store, effort)
    files, parts, found = ["page.md", "claims.csv"], [], []
    for name in names:
        figure = FIGURES[name]
        found += figure.judged(book)
        files.append(f"{name}.csv")
        (store.path / files[-1]).write_text(numbers_csv(list(jobs_of(name, effort)), store), encoding="utf-8")
        if not figure.ready(book):
            parts.append(f"## {figure.title}\n\nNot measured.")
            continue
        picture = ""
        if figure.draw is not None:
            files.append(f"{IMAGES}/{PAPER}_{name}.png")
            figure.draw(store.path / files[-1], book)
            picture = f"![{figure.title}]({files[-1]})\n\n"
        parts.append(f"## {figure.title}\n\n{picture}{figure.table(book)}")
    head = [effort_line(effort, command, missing), f"## Claim by claim\n\n{writing.claims_table(found)}"]
    asked = list(bars.bars(book)) if len(names) == len(FIGURES) else []
    if asked:
        head.append(f"## What we ask of ourselves\n\n{bars.table(asked)}")
    (store.path / "page.md").write_text("\n\n".join([*head, *parts]) + "\n", encoding="utf-8")
    (store.path / "claims.csv").write_text(writing.claims_csv(found), encoding="utf-8")
    return {
        "effort": effort.name,
        "command": command,
        "missing": [f"{job.case.world}, N = {job.case.edges}, seed {job.case.seed}: {part}"
                    for job in missing for part in job.parts],
        "claims": [verdict.builtin() for verdict in found],
        "bars": [bar.builtin() for bar in asked],
        "files": [str(store.path / name) for name in files],
    }  # fmt: skip


def publish(store: Store, into: Path) -> None:
    """Write the page's text into a page of the documentation, and its pictures beside it."""
    writing.put_into(into, (store.path / "page.md").read_text(encoding="utf-8"), PAPER)
    writing.copy_pictures(store.path / IMAGES, into.parent / IMAGES, PAPER)


def numbers_csv(jobs: Sequence[Job], store: Store) -> str:
    """Every number of some jobs, a line each; of episodes their mean."""
    heads = ("world", "edges", "units", "seed", "part", "what", "at", "value")
    rows: list[Sequence[object]] = []
    for job in merged(jobs):
        case = job.case
        for part in job.parts:
            result = store.get(Part(case, part))
            if result is None:
                continue
            about = (case.world, case.edges, case.units, case.seed, part)
            rows += [(*about, "reward", "", result.reward)] if result.rewards else []
            rows += [(*about, "cpu_s", "", result.cpu_s), (*about, "wall_s", "", result.wall_s)]
            rows += [
                (*about, name, at, value) for name, values in result.numbers.items() for at, value in enumerate(values)
            ]
    return writing.as_csv(heads, rows)


def effort_line(effort: Effort, command: str, missing: Sequence[Job]) -> str:
    """What was done to get the figures, and what is missing."""
    steps = ", ".join(f"{count:,} at N = {edges}" for edges, count in effort.steps.items())
    text = f"Measured with `{command}`: {effort.seeds} paired seeds; steps of a training (16 slots each): {steps}."
    if not missing:
        return text
    parts = sum(len(job.parts) for job in missing)
    named = "\n".join(f"- {each}" for each in named_missing(missing))
    return f"{text} **{parts} measurements of the plan are not made ('-' in tables, or fewer seeds):**\n\n{named}"


def named_missing(missing: Sequence[Job]) -> list[str]:
    """What is not made, in words: a line for each world, its parts, and the seeds that lack them."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for job in missing:
        case = job.case
        for part in job.parts:
            seeds.setdefault((f"{case.world}, N = {case.edges}, K = {case.units}", part), []).append(case.seed)
    lines: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (where, part), lacking in seeds.items():
        lines.setdefault((where, tuple(sorted(lacking))), []).append(PARTS.get(part) or NAMES.get(part, part))
    return sorted(
        f"{where}, seed {', '.join(map(str, lacking))}: {', '.join(parts)}" for (where, lacking), parts in lines.items()
    )
