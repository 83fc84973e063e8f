"""Table II: complexity at nine edge servers, the paper's figures beside the arithmetic."""

from __future__ import annotations

from agents.n2o.example_tables import square
from agents.n2o.reproduction.sizes import DOUBLE_BYTES, FLOAT_BYTES, MEGABYTE, Sizes, sizes_of
from agents.n2o.reproduction.tables import Book
from agents.reproduction.verdicts import Verdict, Word
from agents.reproduction.writing import markdown_table

TITLE = "Table II: complexity at nine edge servers"
PAPERS_CENTRAL_BYTES, PAPERS_LOCAL_BYTES = 106e6, 4.2e6
ROUNDS = 50


def table(_book: Book) -> str:
    """The paper's figures, ours, and how they come about."""
    sizes = sizes_of(square(3))
    central, local = sizes.central_parameters, sizes.local_parameters
    n2o = sizes.link_bytes["n2o:slopes=secant"]
    rows = [
        ("state space", "45 and 5", "{} and {}".format(*sizes.states), "5 numbers an edge server"),
        ("actions, centralized", "19,683", f"{sizes.joint:,}", "3 ^ 9"),
        ("actions, N2O", "81", _local_actions(sizes), "3 ^ (1 + neighbours): corner, side, middle of the grid"),
        ("bytes, centralized", "504", "{} or {}".format(*sizes.collected_bytes),
         "9 x 5 numbers collected, of 4 or 8 bytes; 504 = 9 x 7 x 8"),
        ("bytes, N2O", "450", f"{n2o:,} a link, {n2o * sizes.links:,} in all",
         f"{ROUNDS} rounds x 9 numbers x 4 bytes x {sizes.links} directed links; 450 = 9 x {ROUNDS} of 1 byte"),
        ("bytes, owner-side", "-", _bytes(sizes, "owner"), "10 rounds x (2 numbers x 4 bytes + 1); the bus counts 120"),
        ("bytes, max-sum", "-", _bytes(sizes, "max-sum"), "5 rounds x 4 numbers x 4 bytes; the bus counts 100"),
        ("memory, centralized", "106 MB", f"{central * FLOAT_BYTES / MEGABYTE:.1f} MB",
         f"{central:,} parameters x 4 bytes; x 40, five copies in double precision, is 106 MB"),
        ("memory, N2O", "4.2 MB", f"{local * FLOAT_BYTES / MEGABYTE:.3f} MB",
         f"{local:,} parameters in all nine networks x 4 bytes; 4.2 MB cannot be weights"),
        ("memory, ratio", f"{PAPERS_CENTRAL_BYTES / PAPERS_LOCAL_BYTES:.0f}", f"{central / local:.0f}", ""),
    ]  # fmt: skip
    return markdown_table(("what", "the paper", "here", "how"), rows)


def judged(_book: Book) -> list[Verdict]:
    """What Table II and the text around it say; arithmetic, so there is no interval."""
    sizes = sizes_of(square(3))
    n2o = sizes.link_bytes["n2o:slopes=secant"]
    in_all = n2o * sizes.links
    collected = sizes.collected_bytes[1]

    def said(says: str, measure: str, word: Word) -> Verdict:
        return Verdict("N5", "Table II", says, measure, (), word)

    return [
        said("The state has 45 numbers for centralized DQL and 5 for N2O.", "the same",
             "holds" if sizes.states == (45, 5) else "does not hold"),
        said("19,683 actions against 81.", f"{sizes.joint:,} against {_local_actions(sizes)}",
             "holds" if set(sizes.local) == {81} else "holds with a caveat"),
        said("504 bytes against 450: about the same.",
             f"{collected} bytes collect everything once; N2O sends {n2o:,} over each directed link, {in_all:,} in all",
             "holds" if in_all <= 2 * collected else "does not hold"),
        said("Centralized DQL takes 106 MB, N2O 4.2 MB.",
             f"weights in single precision: {sizes.central_parameters * FLOAT_BYTES / MEGABYTE:.1f} MB and "
             f"{sizes.local_parameters * FLOAT_BYTES / MEGABYTE:.3f} MB", "does not hold"),
        said("N2O's memory is 4 % of centralized DQL's.",
             f"{100.0 * sizes.local_parameters / sizes.central_parameters:.2f} % by weights: "
             f"{sizes.central_parameters * DOUBLE_BYTES / MEGABYTE:.0f} MB against "
             f"{sizes.local_parameters * DOUBLE_BYTES / MEGABYTE:.3f} MB even in double precision",
             "holds with a caveat" if sizes.local_parameters < 0.04 * sizes.central_parameters else "does not hold"),
    ]  # fmt: skip


def _local_actions(sizes: Sizes) -> str:
    return ", ".join(f"{count} ({sizes.local.count(count)}x)" for count in sorted(set(sizes.local)))


def _bytes(sizes: Sizes, spec: str) -> str:
    return f"{sizes.link_bytes[spec]} a link, {sizes.link_bytes[spec] * sizes.links:,} in all"
