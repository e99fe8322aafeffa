"""The asyncio shell around the core: it holds no rule."""
