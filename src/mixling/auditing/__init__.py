"""Audits how a collection treats its languages, without judgments, and tries repairs."""
