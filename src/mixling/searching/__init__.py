"""Searches documents in any language: passages, stores, queries."""
