"""Measures of language bias and of what a reader wants among equals: one small file each."""
