"""Corpora of queries, passages and the links between them, and the sources that they come from."""
