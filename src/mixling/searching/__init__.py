"""From documents to people who find things in any language: passages, stores, queries."""
