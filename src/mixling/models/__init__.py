"""Encoders: where weights come from, loading, pooling, prompts, saving."""
