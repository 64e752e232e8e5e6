"""Sources of checkpoints: runs of ``tailscape train``, and external models."""
