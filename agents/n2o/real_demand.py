"""Real demand: networks learn on some days of a trace, and every way to decide is shown on others.

A seed has a folder: its training, actors distilled from it, and a file for each scheme that was shown; what is there is
not made again. Users, channels, spectrum and prices of the days shown are the seed's, the same for all schemes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from agents.errors import AgentError
from agents.n2o.checkpoint import Folder
from agents.n2o.judge import ACTORS, EXPORT
from agents.n2o.negotiation import message_of
from agents.n2o.orchestrators import recipe
from agents.n2o.presets import Distilling, preset_of
from agents.n2o.tables import Floats, Tables
from agents.n2o.teach import teach
from agents.n2o.team import ALIASES, EXACT
from agents.n2o.train import Progress, train
from agents.n2o.worlds import rental_of
from agents.rental_networks import TEAMS
from agents.rental_rollout import PlayedSlot, play
from bus import codec
from emulator.errors import ScenarioError
from emulator.model.graph import NOBODY, Graph
from emulator.rental_plan import resolve_rental
from emulator.scenario import Scenario

PLAIN: Final = Distilling()
TEACHER: Final = "maxsum"
SHOWN: Final = "shown"
SCHEMES: Final = ("all1", "random", "greedy-rule", "madql", "n2o", "owner", "maxsum", EXACT, "actors")
BASE: Final = "madql"
"""What the others are compared with: local networks, not a word."""

LEARNS_NOTHING: Final = ("all1", "random", "greedy-rule")


class Course(NamedTuple):
    """What a scheme came to, slot by slot; a file has a column for each, shape (slot,).

    Attributes:
        reward: Of all edge servers.
        units: Rented.
        tasks: At edge servers.
        wait_s: Of these tasks, summed.
        cloud: Tasks that went to the cloud.
    """

    reward: Floats
    units: Floats
    tasks: Floats
    wait_s: Floats
    cloud: Floats


def parts_of(scenario: Scenario, learned: tuple[int, int]) -> tuple[Scenario, Scenario]:
    """The world to learn in, and the one that is shown.

    Args:
        scenario: Of the rental world, on a trace; its ``rental.demand.slots`` are shown.
        learned: The slots of the trace to learn from: the first, and the one after the last.
    Raises: AgentError: it is of another world; ScenarioError: it has no trace, or slots are both learned and shown.
    """
    rental = rental_of(scenario)
    if rental.demand.kind != "trace" or rental.demand.slots is None:
        raise ScenarioError(
            f"{scenario.name}: rental.demand: needs a trace, and which slots of it are shown; set kind, path, slots"
        )
    first, end = rental.demand.slots
    if learned[0] >= learned[1] or (learned[0] < end and first < learned[1]):
        raise ScenarioError(
            f"{scenario.name}: learning from slots {learned[0]}:{learned[1]}: the slots shown are "
            f"{first}:{end}, and what is shown must not have been learned; give others with --learned"
        )
    demand = msgspec.structs.replace(rental.demand, slots=learned)
    learning = msgspec.structs.replace(scenario, rental=msgspec.structs.replace(rental, demand=demand))
    resolve_rental(learning)
    return learning, resolve_rental(msgspec.structs.replace(scenario, frames=end - first))


def measure(
    folder: Path,
    scenario: Scenario,
    learned: tuple[int, int],
    steps: int,
    *,
    distilling: Distilling = PLAIN,
    stopped: Callable[[], bool],
    tell: Callable[[str], None],
) -> bool:
    """Measure one seed, the scenario's, or what is missing of it.

    Args:
        folder: Of the seed.
        scenario: As ``parts_of`` takes it.
        learned: As ``parts_of`` takes it.
        steps: To train.
        distilling: How actors are taught.
        stopped: Asked now and then; what is there then is gone on with.
        tell: Hears how far it is.
    Returns: Whether all was measured; False if it was stopped.
    Raises: AgentError: the folder is of another scenario, or PyTorch or onnx are missing.
    """
    learning, shown = parts_of(scenario, learned)
    training = Folder(folder)
    if folder.exists():
        if training.scenario() != learning:
            raise AgentError(f"{folder}: was measured with another scenario; choose another --out")
    else:
        training = Folder.create(folder, learning, preset_of("madql", learning.edges.count, steps, double=False))

    def told(progress: Progress) -> None:
        done = f"step {progress.steps} of {progress.wanted}, reward {progress.reward:.1f} of late"
        tell(f"{folder}: {done}, {progress.left_s:.0f} s left of the training")

    saved = training.saved()
    if saved is None or saved[0] < training.preset().steps:
        if train(training, stopped=stopped, tell=told).reward is None:
            return False
    if not (folder / f"{ACTORS}{TEACHER}" / "manifest.toml").exists():
        teach(training, TEACHER, distilling, None, lambda text: tell(f"{folder}: {text}"))
    (folder / SHOWN).mkdir(exist_ok=True)
    for scheme in SCHEMES:
        if not _file(folder, scheme).exists() and not _show(folder, scheme, shown, stopped, tell):
            return False
    return True


def spec_of(folder: Path, scheme: str) -> str:
    """What `--agent` calls a scheme of a seed's folder."""
    if scheme in LEARNS_NOTHING:
        return scheme
    path = folder.resolve()
    if set(str(path)) & set(",="):
        raise AgentError(f"{path}: policies have no commas or equals signs in a path; choose another --out")
    return f"onnx:{path / (ACTORS + TEACHER)}" if scheme == "actors" else f"{scheme}:{path / EXPORT}"


def _show(folder: Path, scheme: str, shown: Scenario, stopped: Callable[[], bool], tell: Callable[[str], None]) -> bool:
    """Play the days shown by one scheme; whether they were played to the end."""
    agent = msgspec.structs.replace(shown.agent, policy=spec_of(folder, scheme))
    rows = []
    for played in play(msgspec.structs.replace(shown, agent=agent)):
        rows.append(_row(played))
        if len(rows) % 144 == 0:
            tell(f"{folder}: {scheme}: slot {len(rows)} of {shown.slots}, reward {np.mean(rows, axis=0)[0]:.2f} a slot")
        if stopped():
            return False
    lines = [",".join(Course._fields), *(",".join(f"{value:.6g}" for value in row) for row in rows)]
    fresh = _file(folder, scheme).with_suffix(".new")
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(_file(folder, scheme))
    return True


def _row(played: PlayedSlot) -> list[float]:
    step = played.step
    sums = (step.reward, step.units, step.settled.tasks, step.settled.wait_s)
    cloud = step.requests.tasks[step.requests.edge == NOBODY]
    return [*(float(each.sum()) for each in sums), float(cloud.sum())]


def course_of(folder: Path, scheme: str) -> Course | None:
    """What a scheme of a seed came to; None if it was not shown yet."""
    path = _file(folder, scheme)
    if not path.exists():
        return None
    try:
        return Course(*np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).T)
    except (ValueError, TypeError) as error:
        raise AgentError(f"{path}: cannot be read ({error}); remove it to measure it again") from None


def _file(folder: Path, scheme: str) -> Path:
    return folder / SHOWN / f"{scheme}.csv"


def payload_bytes(scheme: str, graph: Graph, actions: int) -> int | None:
    """Payload that the heaviest directed link carries for one decision; None where one place knows all."""
    if scheme not in (*TEAMS, BASE):
        return None if scheme == EXACT else 0
    rows = [np.zeros((1, actions ** (1 + len(those)))) for those in graph.neighbours]
    made = recipe(ALIASES.get(scheme, scheme))
    parts = made.parts(Tables.of(graph, rows, actions), lambda _edge: np.zeros_like)
    letters = [message_of(letter) for part in parts for letter in part.outgoing().values()]
    return made.rounds * max((len(codec.encode_payload(letter)) for letter in letters), default=0)
