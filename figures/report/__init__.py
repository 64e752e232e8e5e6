"""One page with everything there is of some runs."""
