"""Checkpoints trained elsewhere: from names on the command line to models, data and losses."""
