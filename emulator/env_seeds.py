"""Which seed an environment's next episode has."""

from __future__ import annotations

from emulator.model.streams import Stream

MOST = 2**62


class EpisodeSeeds:
    """A fixed sequence of seeds that follows from the last seed given."""

    def __init__(self, seed: int) -> None:
        self._seed, self._episode = seed, -1

    def following(self, seed: int | None) -> int:
        """The next episode's seed: the one given, or the next of the sequence."""
        if seed is not None:
            self._seed, self._episode = seed, -1
        self._episode += 1
        if self._episode == 0:
            return self._seed
        return int(Stream(self._seed, "/env", "episodes", draws=4).generator(self._episode).integers(MOST))
