"""Runs as figures see them."""
