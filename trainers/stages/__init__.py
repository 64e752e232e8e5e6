"""Ways of staging a training, one file each."""
