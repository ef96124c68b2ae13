"""Losses: pure functions of vectors, used by training and by the trained transform."""
