"""Views: the rows that answers are made of, kept up to date by following the logs."""
