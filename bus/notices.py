"""Who has said that it subscribes what, at the publishing end: by topic, and by subtree."""

from __future__ import annotations


class Notices:
    """Subscribers by uid. They are kept for topics that nobody here publishes yet, too."""

    def __init__(self) -> None:
        self._topics: dict[str, set[str]] = {}
        self._prefixes: dict[str, set[str]] = {}

    def add(self, uid: str, name: str) -> None:
        """That subscriber wants a topic, or, when the name ends in a slash, all topics below."""
        (self._prefixes if name.endswith("/") else self._topics).setdefault(name, set()).add(uid)

    def remove(self, uid: str, name: str) -> None:
        """It does not any more."""
        table = self._prefixes if name.endswith("/") else self._topics
        found = table.get(name, set())
        found.discard(uid)
        if not found:
            table.pop(name, None)

    def drop(self, uid: str) -> list[str]:
        """It is gone; returns what it wanted."""
        wanted = [name for table in (self._topics, self._prefixes) for name, uids in table.items() if uid in uids]
        for name in wanted:
            self.remove(uid, name)
        return wanted

    def wanting(self, topic: str) -> list[str]:
        """Who wants a topic, in the order of their uids."""
        uids = set(self._topics.get(topic, ()))
        for prefix, more in self._prefixes.items():
            if topic.startswith(prefix):
                uids |= more
        return sorted(uids)

    def is_wanted(self, uid: str, topic: str) -> bool:
        """Whether that subscriber wants a topic, by its own name or with others."""
        if uid in self._topics.get(topic, ()):
            return True
        return any(uid in uids and topic.startswith(prefix) for prefix, uids in self._prefixes.items())
