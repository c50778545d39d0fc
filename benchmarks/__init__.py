"""Benchmarks: seeded workloads, each case in a process of its own, JSON on the last line."""
