"""What is searched rather than looked up: ledger, dead letters and documents, on local disk."""
