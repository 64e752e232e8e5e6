"""Loss surfaces around a checkpoint."""
