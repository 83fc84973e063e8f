"""A candidate that averages demand over a table of eight frames, and never thought of the ninth."""

FRAMES = 8


class Crashes:
    """Most requested on average first, as long as it fits; made with a Setup of docs/agent-protocol.md."""

    def __init__(self, setup):
        self.sizes = [int(size) for size in setup.service_bytes]
        self.storage = int(setup.storage_bytes)
        self.table = [[0.0] * len(self.sizes) for _ in range(FRAMES)]

    def decide(self, frame, counts):
        """The services to deploy."""
        if len(counts):
            self.table[frame] = counts.sum(axis=0).tolist()
        tasks = [sum(column) for column in zip(*self.table, strict=True)]
        room, chosen = self.storage, []
        for service in sorted(range(len(tasks)), key=lambda j: (-tasks[j], j)):
            if tasks[service] > 0 and self.sizes[service] <= room:
                room -= self.sizes[service]
                chosen.append(service)
        return sorted(chosen)
