"""The HTTP front: reads from a view that follows the logs, writes into the logs."""
