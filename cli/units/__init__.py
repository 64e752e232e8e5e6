"""Run units of work: one analysis of one checkpoint each."""
