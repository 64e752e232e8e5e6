"""Image sources, long-tailed subsets, augmentation and samplers."""
