"""Tasks, ranks, metrics and results."""
