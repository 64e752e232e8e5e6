"""Describe the subject of a diagnosis: a model at one point, labelled data and a loss."""
