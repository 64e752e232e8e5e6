"""Where images come from, and how a long tail is made."""
