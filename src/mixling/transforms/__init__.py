"""Transforms of vectors: what they compute, and their files. They need no encoder."""
