"""Site and profile files become domain values, or exact errors."""
