"""Measures of language bias and of language preference, one small file each."""
