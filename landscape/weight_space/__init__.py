"""Compute losses, directions and gradients in the space of a model's parameters."""
