"""Draw the parts that several figures share, for paper and for the screen."""
