"""Read runs: their results, names and settings."""
