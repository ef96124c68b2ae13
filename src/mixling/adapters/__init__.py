"""Mixling inside other frameworks: each module needs its framework's package and nothing else of ours does."""
