"""Regularisers, added to a rule's direction, one file each."""
