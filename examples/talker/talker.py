"""Says hello twice a second; run `edgerig hub` first."""

from words import CHATTER, Word

from bus.program import program

with program("talker", [CHATTER]) as node:
    chatter = node.publisher("chatter")

    def say() -> None:
        """Say hello once more."""
        chatter.publish(Word("hello", chatter.sequence))

    node.timer(0.5, say)
