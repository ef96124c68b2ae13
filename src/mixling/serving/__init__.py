"""A store behind HTTP: search, documents, embeddings, metrics, the page."""
