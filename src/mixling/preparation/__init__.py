"""Data made for training: negatives mined, missing languages translated."""
