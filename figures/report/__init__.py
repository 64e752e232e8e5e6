"""Write one page with all figures and numbers of some runs."""
