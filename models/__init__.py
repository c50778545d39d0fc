"""The domain of Onhand: pure functions over plain records. No I/O, no clock, no framework."""
