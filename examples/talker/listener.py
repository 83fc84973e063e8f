"""Prints what the talker says; run `edgerig hub` first."""

import sys

from words import CHATTER, Word

from bus.codec import Header
from bus.program import program

with program("listener", [CHATTER]) as node:

    def hear(word: Word, _header: Header) -> None:
        """Print one word."""
        sys.stdout.write(f"{node.name} heard {word.text} {word.count}\n")
        sys.stdout.flush()

    node.subscribe("chatter", hear)
