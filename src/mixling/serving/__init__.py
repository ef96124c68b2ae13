"""Serves a store over HTTP: search, documents, embeddings, metrics, and a page."""
