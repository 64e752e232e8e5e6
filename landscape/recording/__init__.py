"""Record class-wise curvature and gradients inside a training loop of anybody's."""
