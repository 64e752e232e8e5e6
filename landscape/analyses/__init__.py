"""The analyses, one file each: from a subject to a result record."""
