"""Verbs: pure functions of site, state, readings, event and now."""
