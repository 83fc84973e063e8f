"""A candidate that is optimal and slow: of the services that it knows it tries every subset there is.

It gets to know two more in every frame, the most requested that it does not know yet. Each doubles the work.
"""


class Slow:
    """The subset that would have served most tasks; made with a Setup of docs/agent-protocol.md."""

    def __init__(self, setup):
        self.sizes = [int(size) for size in setup.service_bytes]
        self.storage = int(setup.storage_bytes)
        self.known = []

    def decide(self, frame, counts):
        """The services to deploy."""
        tasks = counts.sum(axis=0).tolist() if len(counts) else [0] * len(self.sizes)
        unknown = [j for j in sorted(range(len(tasks)), key=lambda j: (-tasks[j], j)) if j not in self.known]
        known = self.known = [*self.known[: 2 * frame], *unknown[:2]]
        best, chosen = -1.0, []
        for subset in range(1 << len(known)):
            services = [service for k, service in enumerate(known) if subset >> k & 1]
            value = sum(tasks[service] for service in services)
            if value > best and sum(self.sizes[service] for service in services) <= self.storage:
                best, chosen = value, services
        return sorted(chosen)
