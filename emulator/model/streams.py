"""Counter-based random streams: a draw depends on (seed, entity, purpose, slot) and on nothing else.

Process count, grouping, start order, kills and restarts therefore cannot change what is drawn.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

WORDS_PER_BLOCK = 4
"""Philox 4x64 yields four 64-bit words at each counter value."""

SLOT_BITS = 64
"""Above these bits of the counter stands the slot where members of a crowd share a stream, below them who draws."""


def normals_from(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard normals from pairs of uniforms, of their shape.

    Args:
        first, second: In [0, 1), of equal shape.
    Source: ours: Box and Muller's cosine; a fixed number of uniforms for each normal keeps slots apart.
    """
    return np.sqrt(-2.0 * np.log1p(-first)) * np.cos(2.0 * np.pi * second)


class CrowdStream:
    """The random numbers of many members of a kind, addressed by slot and member.

    What a member draws in a slot lies beside what the next one draws, so that a whole crowd is drawn in one call; and
    it depends on (seed, kind, purpose, slot, member) only, however the crowd is split over nodes.
    """

    def __init__(self, seed: int, kind: str, purpose: str, *, draws: int) -> None:
        """Open a stream.

        Args:
            seed: The run's seed or the world's.
            kind: Whose members draw, e.g. ``"/user"``.
            purpose: What for, e.g. ``"walk"``.
            draws: Uniforms each member owns in a slot.
        """
        self._key = _key_of(seed, kind, purpose)
        self._blocks = -(-draws // WORDS_PER_BLOCK)
        self.draws = draws

    def uniforms(self, slot: int, first: int, members: int) -> NDArray[np.float64]:
        """Uniforms in [0, 1) of members that follow each other.

        Args:
            slot: The slot.
            first: The first member.
            members: How many.
        Returns: Shape (member, draws).
        Source: ours: as the module.
        """
        counter = (slot << SLOT_BITS) + first * self._blocks
        words = self._blocks * WORDS_PER_BLOCK
        generator = np.random.Generator(np.random.Philox(key=self._key, counter=counter))
        return generator.random(members * words).reshape(members, words)[:, : self.draws]


def _key_of(seed: int, entity: str, purpose: str) -> int:
    text = f"{seed}|{entity}|{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


class Stream:
    """One entity's random numbers for one purpose, addressed by slot.

    Every slot owns ``draws`` uniforms; consecutive slots lie next to each other, so a frame is drawn in one call.
    """

    def __init__(self, seed: int, entity: str, purpose: str, *, draws: int) -> None:
        """Open a stream.

        Args:
            seed: The run's seed or the world's.
            entity: Who draws, e.g. ``"/cell/3"``.
            purpose: What for, e.g. ``"arrivals"``.
            draws: Uniforms each slot owns; more cannot be taken in a slot.
        """
        self._key = _key_of(seed, entity, purpose)
        self._blocks = -(-draws // WORDS_PER_BLOCK)
        self.draws = draws

    def generator(self, slot: int) -> np.random.Generator:
        """A generator that starts at a slot's first draw.

        Args:
            slot: The slot.
        Returns: A generator of its own; it may run on into later slots' numbers.
        Source: ours: as the module.
        """
        return np.random.Generator(np.random.Philox(key=self._key, counter=slot * self._blocks))

    def uniforms(self, slot: int, slots: int = 1) -> NDArray[np.float64]:
        """Uniforms in [0, 1) of consecutive slots.

        Args:
            slot: The first slot.
            slots: How many.
        Returns: Shape (slots, draws).
        Source: ours: as the module.
        """
        words = self._blocks * WORDS_PER_BLOCK
        return self.generator(slot).random(slots * words).reshape(slots, words)[:, : self.draws]

    def normals(self, slot: int, count: int) -> NDArray[np.float64]:
        """Standard normals that belong to one slot.

        Args:
            slot: The slot.
            count: At most ``draws // 2``.
        Returns: Shape (count,).
        Source: ours: as ``normals_of``.
        """
        return self.normals_of(slot, 1, count)[0]

    def normals_of(self, slot: int, slots: int, count: int) -> NDArray[np.float64]:
        """Standard normals of consecutive slots, by inversion-free pairs (Box-Muller).

        Args:
            slot: The first slot.
            slots: How many.
            count: Normals of each slot, at most ``draws // 2``.
        Returns: Shape (slots, count).
        Source: ours: a fixed number of uniforms for each normal keeps slots apart.
        """
        pair = self.uniforms(slot, slots)
        return normals_from(pair[:, :count], pair[:, count : 2 * count])
