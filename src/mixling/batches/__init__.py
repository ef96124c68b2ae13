"""Batches: which texts meet in a training step, by strategy and schedule."""
