"""Networks and their classifiers."""
