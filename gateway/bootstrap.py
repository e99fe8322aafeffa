"""The only place that builds concrete parts."""
