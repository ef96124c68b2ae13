"""Runs the command line as `python -m mixling`."""

from mixling.cli.main import main

main()
