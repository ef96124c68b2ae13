"""Views of results: terminal, HTML."""
