"""Applies a transform to vectors where they are, with a way back."""
