"""Transforms of vectors, and their files. They need no encoder."""
