"""Reads vectors where they are: databases, stores and files; writes a repaired copy beside them."""
