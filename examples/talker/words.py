"""What talker and listener say to each other."""

from bus.messages import Message
from bus.topics import TopicSpec


class Word(Message, frozen=True):
    """Something said, and how often before."""

    text: str
    count: int


CHATTER = TopicSpec("chatter", Word)
