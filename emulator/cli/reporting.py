"""`edgerig report` and `edgerig compare`: pages that stand alone, of a run or a trial, and of runs side by side."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import msgspec

Document = dict[str, Any]
MOST_COLUMNS = 6
"""Runs that have a column each in the terminal; of more, arms have."""


@click.command("report")
@click.argument("folder", metavar="RUN|TRIAL", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--out", metavar="FILE", help="Where the page goes; report.html in the folder if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures, too: one document on stdout.")
def report_command(folder: str, out: str | None, as_json: bool) -> None:
    """Write what a RUN or TRIAL came to as one HTML page, and its figures as JSON beside it.

    The page loads nothing: it can be mailed, printed, and read in light and in the dark.
    """
    from monitoring.pages.files import write
    from monitoring.runs import ReportError

    try:
        document, page = _of_folder(Path(folder))
        html = Path(out) if out is not None else Path(folder) / "report.html"
        figures = write(page, document, html)
    except ReportError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    _tell([document["sentence"]], html, figures)


def _of_folder(folder: Path) -> tuple[Document, str]:
    """Figures and page of a run or a trial."""
    from monitoring import runs
    from monitoring.pages import run_facts, run_page, run_words, trial_facts, trial_page, trials_page

    if trials_page.is_trials(folder):
        document = trials_page.document(folder)
        return document, trials_page.render(document)
    if trial_facts.is_trial(folder):
        document = trial_facts.document(folder)
        return document, trial_page.render(document)
    document = run_facts.document(runs.read(folder))
    document["sentence"] = run_words.sentence(document)
    return document, run_page.render(document)


@click.command("compare")
@click.argument("folders", nargs=-1, required=True, metavar="RUN...", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--out", metavar="FILE", help="Where the page goes; compare.html in the last run if left out.")
@click.option("--no-page", is_flag=True, help="Only the table.")
@click.option("--plot", "png", type=click.Path(), help="Draw a picture of the runs, too (PNG).")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout, and no files.")
def compare_command(folders: tuple[str, ...], out: str | None, no_page: bool, png: str | None, as_json: bool) -> None:
    """Compare RUNs of one scenario that differ in who decides: the first one's agents are the baseline.

    Runs of the same seed are pairs. Over several seeds the differences have 95 % intervals.
    """
    from monitoring.pages import compare_facts, compare_page, pairing
    from monitoring.pages.files import write
    from monitoring.runs import ReportError

    paths = [Path(folder) for folder in folders]
    try:
        document = compare_facts.document(pairing.pair(paths))
        said = compare_facts.sentences(document)
        document["sentence"] = " ".join(said)
        if as_json:
            click.echo(json.dumps(document | {"rows": _rows(paths)}, indent=1))
            return
        _table(paths, document, None if png is None else Path(png))
        if no_page:
            click.echo("\n".join(said))
            return
        html = Path(out) if out is not None else paths[-1] / "compare.html"
        _tell(said, html, write(compare_page.render(document), document, html))
    except ReportError as error:
        raise click.ClickException(str(error)) from None


def _tell(said: list[str], html: Path, figures: Path) -> None:
    click.echo("\n".join(said))
    click.echo(f"\npage     {html}\nfigures  {figures}")


def _rows(paths: list[Path]) -> list[Document]:
    """Each run beside the first, slot by slot, as JSON: of a run its folder, not all its tables."""
    from emulator.cli.demo import reports_of

    rows = [
        {each.name: getattr(row, each.name) for each in dataclasses.fields(row)} | {"run": str(row.run.folder)}
        for row in reports_of(paths).compare(paths).rows
    ]
    found: list[Document] = msgspec.to_builtins(rows)
    return found


def _table(paths: list[Path], document: Document, png: Path | None) -> None:
    """A column for each run; for each arm where there are many."""
    import shutil

    from emulator.cli.demo import reports_of, side_by_side
    from monitoring.pages.compare_text import table

    if len(paths) <= MOST_COLUMNS:
        side_by_side(paths, png)
    else:
        click.echo("\n" + table(document, min(100, shutil.get_terminal_size().columns)))
        if png is not None:
            reports = reports_of(paths)
            reports.plot(reports.compare(paths), png)
            click.echo(f"\nplot  {png}")
    click.echo()


COMMANDS = [report_command, compare_command]
