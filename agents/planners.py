"""Deployment policies that plan for the whole network (marginal greedy, iterated local search, oracle)."""
