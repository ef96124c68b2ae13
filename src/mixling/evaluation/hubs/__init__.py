"""Measures of hubs, passages that very many queries find, one small file each."""
