"""`python -m mixling` is `mixling`."""

from mixling.cli.main import main

main()
