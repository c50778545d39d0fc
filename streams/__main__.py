"""`python -m streams`: see `streams.cli`."""

from runtime.pages import prefer_huge

if __name__ == "__main__":
    # First of all: it may start the process anew, and what is imported before is imported twice.
    prefer_huge()

from streams.cli import cli

if __name__ == "__main__":
    cli()
