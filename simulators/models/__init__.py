"""What physical things do by themselves. No clock: time is an argument, monotonic milliseconds."""
