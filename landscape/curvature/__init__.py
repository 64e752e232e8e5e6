"""Hessian spectra: which matrix, which algorithm, what follows."""
