"""An agent as a Python class: the tasks of the last frame that a byte of storage would serve, most first.

The same rule as examples/agent-c, and as the policy marginal-popularity. It imports nothing of edgerig.
"""

SCALE = 10**12


class MarginalPopularity:
    """Made with a Setup of docs/agent-protocol.md; anew whenever time begins again."""

    def __init__(self, setup):
        self.room = setup.storage_bytes
        self.sizes = [int(size) for size in setup.service_bytes]

    def decide(self, frame, counts):
        """The services to deploy; counts has a row for each slot of the frame before, a column for each service."""
        scores = [1] * len(self.sizes)
        if len(counts):
            tasks = counts.sum(axis=0).tolist()
            scores = [int(count) * SCALE // size for count, size in zip(tasks, self.sizes, strict=True)]
        room, chosen = self.room, []
        for service in sorted(range(len(scores)), key=lambda j: (-scores[j], j)):
            if scores[service] > 0 and self.sizes[service] <= room:
                room -= self.sizes[service]
                chosen.append(service)
        return chosen

    def after_frame(self, frame, reward):
        """What a frame was worth: reward_s, delay_s, all_cloud_s. This rule learns nothing from it."""
