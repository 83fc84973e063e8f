"""The message bus: typed messages between nodes, over ZeroMQ. It knows no equation of any world."""
