"""The named sources, one file for each or for each family."""
