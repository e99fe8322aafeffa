"""Nouns: frozen values that every room shares. No I/O, no clock, no randomness."""
