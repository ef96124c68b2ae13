"""Losses of vectors: pure functions, used by training and by the trained transform."""
