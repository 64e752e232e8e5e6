"""A sweep: many runs of a grid of settings, each trained and then diagnosed."""
