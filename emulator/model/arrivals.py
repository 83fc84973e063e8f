"""Synthetic demand of one cell: users who ask for services by a Zipf law whose ranks may drift.

Everything is a pure function of (seeds, cell, slot): a cell that restarts at slot 1000 draws what it would have drawn.

Source: TTOSC section V.A (users, Zipf); workloads, stickiness and populations after Chen et al., "Dynamic Task Software
Caching", simplified as ``docs/decisions/0004-demand.md`` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emulator.model.streams import Stream

Workload = Literal["static", "drift", "periodic"]
NOBODY = -1
FRAMES_PER_BLOCK = 64
"""Frames drawn in one go: what a draw costs is mostly the call."""
UNIFORMS_PER_BLOCK = 1 << 22
"""Fewer frames where users and slots are many, so that a block stays below 32 MiB."""


@dataclass(frozen=True, slots=True)
class Habits:
    """How the users of every cell behave.

    Attributes:
        users_min, users_max: Bounds of a cell's population, both possible.
        activity: Probability that a user has a task in a slot.
        zipf_exponent: Exponent of the Zipf law over a cell's ranks.
        alike_share: Share of a service's popularity score that all cells have in common, 0..1.
        stickiness: Probability that a user asks for the service of its last task again.
        redraw: Probability that a cell's population is drawn anew at a frame.
        workload: How popularity moves: never, as a drift with memory ``drift_frames``, or between two rankings.
        drift_frames: Memory of the drift, frames.
        period_frames: Period of the periodic workload, frames.
    """

    users_min: int
    users_max: int
    activity: float
    zipf_exponent: float
    alike_share: float
    stickiness: float
    redraw: float
    workload: Workload
    drift_frames: float
    period_frames: float


class PopularityScores:
    """Scores whose order is the popularity of services in one cell, frame by frame.

    Source: ours (docs/decisions/0004): sqrt(ka) G_j + sqrt(1 - ka) H_mj, G common to all cells, H the cell's own.
    """

    def __init__(self, cell: int, services: int, habits: Habits, *, seed: int, world_seed: int) -> None:
        self._habits = habits
        self._services = services
        draws = 2 * services
        self._drift = [Stream(seed, who, "drift", draws=draws) for who in ("/world", f"/cell/{cell}")]
        ranks = [Stream(world_seed, who, "popularity", draws=draws) for who in ("/world", f"/cell/{cell}")]
        self._start = np.stack([stream.normals(0, services) for stream in ranks])
        self._other = np.stack([stream.normals(1, services) for stream in ranks])
        self._frame = 0
        self._state = self._start

    def of(self, frame: int, frames: int) -> NDArray[np.float64]:
        """Scores in consecutive frames.

        Args:
            frame: The first frame.
            frames: How many.
        Returns: Shape (frame, service).
        Source: as the class.
        """
        alike = self._habits.alike_share
        common, own = self._parts(frame, frames).swapaxes(0, 1)
        return np.sqrt(alike) * common + np.sqrt(1.0 - alike) * own

    def _parts(self, frame: int, frames: int) -> NDArray[np.float64]:
        """The common and the own part, shape (frame, part, service)."""
        if self._habits.workload == "static":
            return np.broadcast_to(self._start, (frames, *self._start.shape))
        if self._habits.workload == "periodic":
            turn = np.arange(frame, frame + frames) / self._habits.period_frames
            weight = 0.5 * (1.0 + np.cos(2.0 * np.pi * turn))[:, None, None]
            return np.sqrt(weight) * self._start + np.sqrt(1.0 - weight) * self._other
        return self._drifted(frame, frames)

    def _drifted(self, frame: int, frames: int) -> NDArray[np.float64]:
        """An Ornstein-Uhlenbeck walk sampled each frame; stationary, unit variance."""
        if frame < self._frame:
            self._frame, self._state = 0, self._start
        keep = float(np.exp(-1.0 / self._habits.drift_frames))
        push = np.sqrt(1.0 - keep * keep)
        walked = np.empty((frames, *self._start.shape))
        first, last = self._frame, frame + frames - 1
        noise = np.stack([stream.normals_of(first, last + 1 - first, self._services) for stream in self._drift], axis=1)
        for k in range(first, last + 1):
            # A walk begins at its start: frame 0 has no push, and the frame it stopped at has had its own.
            if k > self._frame:
                self._state = keep * self._state + push * noise[k - first]
            if k >= frame:
                walked[k - frame] = self._state
        self._frame = last
        return walked


class ZipfDemand:
    """Tasks that users of one cell ask for, slot by slot."""

    def __init__(
        self, cell: int, services: int, slots_per_frame: int, habits: Habits, *, seed: int, world_seed: int
    ) -> None:
        self._habits = habits
        self._services = services
        self._slots_per_frame = slots_per_frame
        self._scores = PopularityScores(cell, services, habits, seed=seed, world_seed=world_seed)
        self._population = Stream(seed, f"/cell/{cell}", "population", draws=2)
        self._users = Stream(seed, f"/cell/{cell}", "arrivals", draws=3 * habits.users_max)
        weight = np.arange(1, services + 1, dtype=np.float64) ** -habits.zipf_exponent
        self._rank_probability = weight / weight.sum()
        fits = UNIFORMS_PER_BLOCK // (self._users.draws * slots_per_frame)
        self._frames = min(max(fits, 1), FRAMES_PER_BLOCK)
        self._block = -1
        self._last_service = np.full(habits.users_max, NOBODY)
        self._users_now = 0
        self._counts = np.zeros((self._frames * slots_per_frame, services))

    def counts(self, slot: int) -> NDArray[np.float64]:
        """Tasks by service that arrive in a slot.

        Args:
            slot: Any slot; going on is cheap, going back starts again at slot 0.
        Returns: [N_m^j] shape (service,), whole numbers; valid until the next call.
        Source: TTOSC section V.A.
        """
        block, within = divmod(slot, len(self._counts))
        if block != self._block:
            self._advance_to(block)
        return self._counts[within]

    def probabilities(self, frame: int, frames: int = 1) -> NDArray[np.float64]:
        """Probability that a fresh task is for each service.

        Args:
            frame: The first frame.
            frames: How many.
        Returns: Shape (frame, service).
        Source: TTOSC section V.A, Zipf's law over the cell's ranks.
        """
        order = np.argsort(-self._scores.of(frame, frames), axis=1, kind="stable")
        probability = np.empty(order.shape)
        np.put_along_axis(probability, order, self._rank_probability[None], axis=1)
        return probability

    def _advance_to(self, block: int) -> None:
        if block < self._block:
            self._block, self._users_now = -1, 0
            self._last_service = np.full_like(self._last_service, NOBODY)
        # Stickiness has memory, so the blocks between are drawn too.
        while self._block < block:
            self._block += 1
            self._draw_block(self._block)

    def _draw_block(self, block: int) -> None:
        slots = len(self._counts)
        active, sticky, choice = np.split(self._users.uniforms(block * slots, slots), 3, axis=1)
        population = np.repeat(self._populations(block), self._slots_per_frame)
        asks = (active < self._habits.activity) & (np.arange(self._habits.users_max) < population[:, None])
        fresh = np.empty(asks.shape, dtype=np.int64)
        fresh[asks] = self._fresh(block, asks, choice)
        # User by user from here on, each user's tasks in order of time.
        user, slot = np.nonzero(asks.T)
        service = self._repeated(user, fresh[slot, user], sticky[slot, user] < self._habits.stickiness)
        counts = np.bincount(slot * self._services + service, minlength=self._counts.size)
        self._counts = counts.astype(np.float64).reshape(self._counts.shape)

    def _populations(self, block: int) -> NDArray[np.int64]:
        """Users of the cell in each frame of a block, shape (frame,)."""
        habits = self._habits
        again, level = self._population.uniforms(block * self._frames, self._frames).T
        drawn = habits.users_min + (level * (habits.users_max - habits.users_min + 1)).astype(np.int64)
        users = np.where(again < habits.redraw, drawn, NOBODY)
        if users[0] == NOBODY:
            users[0] = self._users_now if block else drawn[0]
        latest = np.maximum.accumulate(np.where(users == NOBODY, 0, np.arange(self._frames)))
        self._users_now = int(users[latest[-1]])
        return users[latest]

    def _fresh(self, block: int, asks: NDArray[np.bool_], choice: NDArray[np.float64]) -> NDArray[np.int64]:
        """Services drawn by popularity, by inversion, one for each task in order of time, shape (task,)."""
        drawn = choice[asks]
        static = self._habits.workload == "static"
        frames = 1 if static else self._frames
        cumulative = np.cumsum(self.probabilities(block * self._frames, frames), axis=1)
        tasks = np.cumsum(asks.reshape(frames, -1).sum(axis=1))
        parts = zip(cumulative, np.split(drawn, tasks[:-1]), strict=True)
        picked = np.concatenate([np.searchsorted(c, part, side="right") for c, part in parts])
        return np.minimum(picked, self._services - 1)

    def _repeated(
        self, user: NDArray[np.int64], fresh: NDArray[np.int64], sticky: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Let sticky tasks ask for their user's service of before, across slots and blocks.

        Args:
            user: Whose task it is, ascending, shape (task,).
            fresh: The service drawn for it.
            sticky: Whether it would rather repeat.
        Returns: Services, shape (task,).
        """
        tasks = np.arange(len(user))
        begins = np.searchsorted(user, user, side="left")
        # A user's very first task has nothing to repeat, so it is fresh whatever was drawn for it.
        unknown = (begins == tasks) & (self._last_service[user] == NOBODY)
        source = np.maximum.accumulate(np.where(~sticky | unknown, tasks, NOBODY))
        service = np.where(source >= begins, fresh[source], self._last_service[user])
        # Of several writes to one user the last one stays, that is its latest task.
        self._last_service[user] = service
        return service
