"""A candidate with a leak: it evicts services that are idle, and gives their bytes back again in every frame after.

Well meant: what users still ask for stays deployed, so nothing is moved about. But ``self.room`` is kept by
hand, and an evicted service stays in ``self.idle``: its bytes count as free once more in each further frame. After some
frames there is more room on paper than on the disk, and what it decides does not fit.
"""

PATIENCE = 3


class Forgets:
    """Keeps what is asked for; made with a Setup of docs/agent-protocol.md."""

    def __init__(self, setup):
        self.sizes = [int(size) for size in setup.service_bytes]
        self.room = int(setup.storage_bytes)
        self.deployed = set()
        self.idle = {}
        self.frame = -1

    def decide(self, frame, counts):
        """The services to deploy; asked again for the same frame it answers the same."""
        if frame != self.frame:
            self.frame = frame
            self.update(counts.sum(axis=0).tolist() if len(counts) else [0] * len(self.sizes))
        return sorted(self.deployed)

    def update(self, tasks):
        """Evict what was idle for too long, then add what is asked for while there is room."""
        for service, size in enumerate(self.sizes):
            if tasks[service] > 0:
                self.idle.pop(service, None)
            elif service in self.deployed or service in self.idle:
                self.idle[service] = self.idle.get(service, 0) + 1
                if self.idle[service] >= PATIENCE:
                    self.deployed.discard(service)
                    self.room += size  # the leak: again in the next frame
        for service in sorted(range(len(tasks)), key=lambda j: (-tasks[j], j)):
            if tasks[service] > 0 and service not in self.deployed and self.sizes[service] <= self.room:
                self.deployed.add(service)
                self.room -= self.sizes[service]
