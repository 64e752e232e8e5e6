"""Gradient rules, one file each."""
