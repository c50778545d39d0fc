"""A Kafka, a Redis and our own processes on this machine: for the demo, tests and benchmarks."""
