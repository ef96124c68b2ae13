"""Audit of a collection without judgments: how its languages are treated, and what would help."""
