"""Draw the figures of the papers, by name."""
