"""The HTTP API. Imported once the gateway can take a call, never on the way there."""
