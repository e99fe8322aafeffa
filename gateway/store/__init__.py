"""Durable state and journal, in one SQLite database."""
