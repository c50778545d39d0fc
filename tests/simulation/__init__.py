"""A deterministic simulation of the service: the real engine and stages, all else made up.

Broker, group, network, clock and crashes are simulated in one process, under a scheduler
that a seed decides. The same seed runs the same, to the last byte.
"""
