"""Grids of runs with one table at their end."""
