"""The grammar of methods, and the tables of their parts."""
