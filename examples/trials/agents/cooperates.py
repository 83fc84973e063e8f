"""A cooperative candidate: it draws by lot, among what its users ask for, what it deploys.

Edge servers that all deploy what is most requested deploy the same. By lot they cover more services together, and tasks
that went to the cloud go to a neighbour. Its own users pay for it: what they ask for most may now be a neighbour's.
"""

MULTIPLIER, MODULUS = 48271, 2**31 - 1


class Cooperates:
    """Services by lot, weighted by demand; made with a Setup of docs/agent-protocol.md."""

    def __init__(self, setup):
        self.sizes = [int(size) for size in setup.service_bytes]
        self.storage = int(setup.storage_bytes)

    def decide(self, frame, counts):
        """The services to deploy."""
        return sorted(self.drawn(counts.sum(axis=0).tolist())) if len(counts) else []

    def drawn(self, tasks):
        """A lot for every task, from what was counted, so that each edge server has its own."""
        state = 1 + int(sum((2 * j + 3) ** 5 * count for j, count in enumerate(tasks))) % (MODULUS - 1)
        room, chosen = self.storage, []
        while any(tasks[j] > 0 and self.sizes[j] <= room for j in range(len(tasks))):
            state = state * MULTIPLIER % MODULUS
            left = sum(tasks) * state / MODULUS
            service = 0
            while service < len(tasks) - 1 and left >= tasks[service]:
                left -= tasks[service]
                service += 1
            if tasks[service] > 0 and self.sizes[service] <= room:
                room -= self.sizes[service]
                chosen.append(service)
            tasks[service] = 0.0
        return chosen
