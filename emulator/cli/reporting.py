"""`edgerig report`: a page that stands alone, of a run or a trial."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("report")
@click.argument("folder", metavar="RUN|TRIAL", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--out", metavar="FILE", help="Where the page goes; report.html in the folder if left out.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures, too: one document on stdout.")
def report_command(folder: str, out: str | None, as_json: bool) -> None:
    """Write what a RUN or TRIAL came to as one HTML page, and its figures as JSON beside it.

    The page loads nothing: it can be mailed, printed, and read in light and in the dark.
    """
    from monitoring import runs
    from monitoring.pages import run_facts, run_page, run_words
    from monitoring.pages.files import write

    try:
        document = run_facts.document(runs.read(Path(folder)))
        document["sentence"] = run_words.sentence(document)
        html = Path(out) if out is not None else Path(folder) / "report.html"
        figures = write(run_page.render(document), document, html)
    except runs.ReportError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    click.echo(document["sentence"])
    click.echo(f"\npage     {html}\nfigures  {figures}")


COMMANDS = [report_command]
