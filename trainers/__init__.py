"""Training on long-tailed data, from images to checkpoints, with every method of the field."""
