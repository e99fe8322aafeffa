"""Durable state and the journal."""
