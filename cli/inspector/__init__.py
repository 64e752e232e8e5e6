"""The browser inspector: a page over a folder of runs; it reads, and never writes into a run."""
