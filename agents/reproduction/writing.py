"""Tables of a reproduction: Markdown for the documentation, CSV for everything else; and the page they stand in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from agents.errors import AgentError
from agents.reproduction.comparing import Compared
from agents.reproduction.verdicts import Finding, Verdict


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join([_row(heads), "|---" * len(heads) + "|", *(_row(row) for row in rows)])


def compared(found: Compared | None, digits: int = 2, *, signed: bool = False) -> str:
    """A mean and half of its interval."""
    if found is None:
        return "-"
    mean, half = found.interval
    return f"{mean:+.{digits}f} ± {half:.{digits}f}" if signed else f"{mean:.{digits}f} ± {half:.{digits}f}"


def claims_table(verdicts: Sequence[Verdict]) -> str:
    """Claim by claim: what the paper says, what was found, and the word for it."""
    rows = []
    for verdict in verdicts:
        digits = 0 if "frames" in verdict.measure else 2
        found = [
            f"{finding.who} {compared(finding.found, digits, signed=True)}{_mark(finding)}"
            for finding in verdict.findings
        ]
        text = f"{verdict.measure}: {'; '.join(found)}" if found else verdict.measure
        rows.append((verdict.name, verdict.figure, verdict.says, f"**{verdict.word}**", text))
    return markdown_table(("claim", "figure", "the paper says", "here", "figures"), rows)


def _mark(finding: Finding) -> str:
    """Whether it is as said, and over how many seeds."""
    mark = "" if finding.agrees else ", opposite" if finding.contradicts else ", level"
    return f" (n {finding.found.seeds}{mark})"


def claims_csv(verdicts: Sequence[Verdict]) -> str:
    """Claim by claim, a line for each scheme or pair."""
    heads = (
        "claim",
        "figure",
        "says",
        "verdict",
        "measure",
        "who",
        "mean",
        "half_width_95",
        "seeds",
        "agrees",
        "contradicts",
    )
    rows: list[Sequence[object]] = []
    for verdict in verdicts:
        about = (verdict.name, verdict.figure, verdict.says, verdict.word, verdict.measure)
        rows += [
            (*about, finding.who, *finding.found.interval, finding.found.seeds, finding.agrees, finding.contradicts)
            for finding in verdict.findings
        ] or [(*about, "", "", "", "", "", "")]
    return as_csv(heads, rows)


def as_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return text.getvalue()


def marks(paper: str) -> tuple[str, str]:
    """The lines between which a page holds what was measured of a paper."""
    return f"<!-- measured: edgerig reproduce {paper} writes from here -->", "<!-- measured: to here -->"


def put_into(page: Path, text: str, paper: str) -> None:
    """Replace what was measured in a page; a page that is not there begins with a heading.

    Args:
        page: The file.
        text: What was measured.
        paper: Name of the command that measures it.
    Raises: AgentError: the page has no place for it.
    """
    begins, ends = marks(paper)
    old = page.read_text(encoding="utf-8") if page.exists() else f"# {paper.upper()} reproduced\n\n{begins}\n{ends}\n"
    before, begin, rest = old.partition(begins)
    _, end, after = rest.partition(ends)
    if not begin or not end:
        raise AgentError(f"{page}: has no lines '{begins}' and '{ends}' to write between; add them")
    page.write_text(f"{before}{begins}\n\n{text.strip()}\n\n{ends}{after}", encoding="utf-8")


def copy_pictures(pictures: Path, into: Path, paper: str) -> None:
    """Copy a paper's pictures."""
    into.mkdir(exist_ok=True)
    for picture in sorted(pictures.glob(f"{paper}_*.png")):
        (into / picture.name).write_bytes(picture.read_bytes())
