"""From result files to pictures, one file a figure."""
