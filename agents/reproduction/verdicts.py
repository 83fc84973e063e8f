"""A paper's statements, each held against what was measured.

A statement is about some schemes, or pairs of them. For each, the paired change has a 95 % interval; the statement
holds if that is on the claimed side of 0 for all of them, with a caveat if for some, and does not hold if for none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from agents.reproduction.comparing import Compared

Word = Literal["holds", "holds with a caveat", "does not hold", "not measured"]


class Finding(NamedTuple):
    """What was found of one scheme or pair.

    Attributes:
        who: The scheme, or what is compared with what.
        found: The paired change, and its unit is the statement's.
        agrees: Whether its interval is on the claimed side of 0.
        contradicts: Whether it is on the other side; neither, where it holds 0.
    """

    who: str
    found: Compared
    agrees: bool
    contradicts: bool


class Verdict(NamedTuple):
    """A statement of the paper and what became of it here.

    Attributes:
        name: As in ``docs/claims.md``.
        figure: Where the paper says it.
        says: The statement.
        measure: What the figures of ``findings`` are.
        findings: One for each scheme or pair that it is about.
        word: See the module.
    """

    name: str
    figure: str
    says: str
    measure: str
    findings: tuple[Finding, ...]
    word: Word

    def builtin(self) -> dict[str, Any]:
        """As a JSON document has it."""
        found = [
            {"who": each.who, **each.found.interval._asdict(), "seeds": each.found.seeds, "agrees": each.agrees}
            for each in self.findings
        ]
        return {**self._asdict(), "findings": found}


def judged(findings: Sequence[Finding]) -> Word:
    """The word for what was found."""
    if not findings:
        return "not measured"
    agree = sum(finding.agrees for finding in findings)
    return "holds" if agree == len(findings) else "holds with a caveat" if agree else "does not hold"


def finding(who: str, found: Compared | None, *, rises: bool) -> list[Finding]:
    """What was found, if it was: a list of one or none."""
    if found is None or not np.isfinite(found.interval.half):
        return []
    certain, as_said = found.interval.excludes_zero, (found.interval.mean > 0.0) == rises
    return [Finding(who, found, certain and as_said, certain and not as_said)]


def verdict(name: str, figure: str, says: str, measure: str, findings: Iterable[Finding]) -> Verdict:
    """A statement with its word."""
    kept = tuple(findings)
    return Verdict(name, figure, says, measure, kept, judged(kept))
