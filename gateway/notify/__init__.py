"""How a call reaches people."""
