"""Prepares data for training: answer sentences, hard negatives, translations."""
