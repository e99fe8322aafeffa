"""What is measured against limits, beside the raw libraries in the same run."""
