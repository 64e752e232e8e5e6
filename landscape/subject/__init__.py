"""What is diagnosed: a model at one point, labelled data and a loss."""
