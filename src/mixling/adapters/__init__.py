"""Adapts Mixling to other frameworks.

Each module needs the package of its framework, which no other module of Mixling does.
"""
