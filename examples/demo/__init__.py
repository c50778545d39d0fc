"""`python -m examples.demo`: real grocery sales through a real Kafka, checked to the unit."""
