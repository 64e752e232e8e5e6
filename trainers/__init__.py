"""From long-tailed data to checkpoints, with every method of the field."""
