"""The figures of the papers, by name."""
