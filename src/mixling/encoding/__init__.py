"""Encode texts as vectors, each text once, and store the vectors; a killed run resumes."""
