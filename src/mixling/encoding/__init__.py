"""Texts to vectors, each text once: kept on disk if asked for, and taken up again where a run was cut."""
