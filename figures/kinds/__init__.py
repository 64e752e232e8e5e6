"""Read and draw the figures, one file a kind."""
