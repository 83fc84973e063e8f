"""`edgerig reproduce`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from emulator.cli.progress import tell
from emulator.cli.reproducing_membership import reproduce_membership
from emulator.cli.reproducing_real import reproduce_real
from emulator.cli.trainings import clock

if TYPE_CHECKING:
    from agents.reproduction.crew import Progress

Command = TypeVar("Command", bound=Callable[..., Any])
INTERRUPTED: Final = 130
WHAT: Final = ("fig4a", "fig4b", "fig5a", "fig5b", "fig6a", "fig6b", "times", "real", "all")


def _into(folder: str) -> Callable[[Command], Command]:
    """The option that says where measurements are kept."""
    return click.option(
        "-o",
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(folder),
        show_default=True,
        help="The folder; what is measured in it already is not measured again.",
    )


def _what_to_write(command: Command) -> Command:
    """The options that say what becomes of measurements."""
    page = click.Path(path_type=Path, dir_okay=False)
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout, nothing else.")
    as_is = click.option("--as-is", is_flag=True, help="Measure nothing; write tables and plots of what is there.")
    return click.option("--page", type=page, help="Write the tables into this page, too.")(as_is(as_json(command)))


@click.group("reproduce")
def reproduce_group() -> None:
    """Measure what a paper shows and states, and say which of it holds here."""


@reproduce_group.command("ttosc")
@click.argument("what", type=click.Choice(WHAT), default="all")
@click.option("--quick", is_flag=True, help="Three seeds, fewer points and frames: minutes, and wide intervals.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Measurements at a time.")
@_into("reproduction-ttosc")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Holds milan_internet and azure_functions (docs/traces.md), for real demand.",
)
@_what_to_write
def reproduce_ttosc(
    what: str, quick: bool, jobs: int, out: Path, data: Path | None, page: Path | None, as_is: bool, as_json: bool
) -> int:
    """Every figure and stated number of TTOSC: CSV, plots, and which claims hold; Ctrl-C keeps what is measured."""
    from agents.ttosc.reproduction import crew, real, report
    from agents.ttosc.reproduction.plan import FULL, QUICK
    from agents.ttosc.reproduction.store import Store

    everything = what == "all"
    _only_whole_pages(what, page)
    if what == "real" and data is None:
        raise click.UsageError("real: say where the traces are with --data; docs/traces.md says where to get them")
    store = Store(out)
    given = [word for word in (what, "--quick" if quick else "", "--data DIR" if data else "") if word]
    request = report.Request(
        tuple(name for name in report.FIGURE_NAMES if everything or name == what),
        QUICK if quick else FULL,
        everything=everything,
        times=everything or what == "times",
        milan=real.prepared(data, store.path / "real") if data is not None and what in ("real", "all") else None,
        command=f"edgerig reproduce ttosc {' '.join(given)}",
    )
    wanted = report.wanted(request)
    todo = crew.missing(wanted, store)
    tell(f"{out}: {len(todo)} measurements to make, {len(set(wanted)) - len(todo)} made already or the same")

    if not as_is and not crew.make(todo, store, jobs=jobs, tell=_told):
        _stopped(out)
        return INTERRUPTED
    document = report.write(store, request, missing=todo if as_is else ())
    if page is not None:
        report.publish(store, page)
    _say(document, out, as_json=as_json)
    return 0


WHAT_N2O: Final = ("fig4", "fig5", "fig6", "table2", "fig7", "fig8", "fig9", "fig10", "fig11", "theory", "all")


@reproduce_group.command("n2o")
@click.argument("what", type=click.Choice(WHAT_N2O), default="all")
@click.option("--quick", is_flag=True, help="N = 4, three seeds, shorter trainings: at most 15 minutes on two cores.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Trainings at a time.")
@_into("reproduction-n2o")
@_what_to_write
def reproduce_n2o(what: str, quick: bool, jobs: int, out: Path, page: Path | None, as_is: bool, as_json: bool) -> int:
    """Every figure and stated number of N2O: CSV, plots, and which claims hold; Ctrl-C keeps what is measured."""
    from agents.n2o.reproduction import asking, report
    from agents.n2o.reproduction.measuring import Store
    from agents.n2o.reproduction.plan import FULL, QUICK

    _only_whole_pages(what, page)
    store, effort = Store(out), QUICK if quick else FULL
    names = [name for name in report.FIGURES if what in (name, "all")]
    wanted = report.wanted(names, effort)
    todo = asking.missing(wanted, store)
    parts, made = (sum(len(job.parts) for job in some) for some in (todo, wanted))
    tell(f"{out}: {parts} measurements in {len(todo)} jobs to make, {made - parts} made already")
    if not as_is and not asking.make(todo, store, jobs=jobs, tell=_told):
        _stopped(out)
        return INTERRUPTED
    command = " ".join(word for word in ("edgerig reproduce n2o", what, "--quick" if quick else "") if word)
    document = report.write(store, names, effort, command=command, missing=todo if as_is else ())
    if page is not None:
        report.publish(store, page)
    _say(document, out, as_json=as_json)
    return 0


def _only_whole_pages(what: str, page: Path | None) -> None:
    if page is not None and what != "all":
        raise click.UsageError("--page: a page has all figures; leave out what to reproduce, or say all")


def _told(progress: Progress) -> None:
    left = clock(progress.left_s) if progress.left_s == progress.left_s else "?"
    tell(f"{progress.made} of {progress.wanted} made, {left} left; last: {progress.last or '-'}")


def _stopped(out: Path) -> None:
    tell(f"stopped; the same command goes on with {out}, and --as-is shows what there is")


def _say(document: dict[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    for claim in document["claims"]:
        click.echo(f"{claim['name']:4} {claim['word']:20} {claim['says']}")
    click.echo(f"{out}/page.md: tables; plots and CSV beside it")


reproduce_group.add_command(reproduce_real)
reproduce_group.add_command(reproduce_membership)
COMMANDS = [reproduce_group]
