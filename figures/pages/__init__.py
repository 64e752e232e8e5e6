"""Write figures as pages that open without a network, on wide windows and on narrow ones."""
