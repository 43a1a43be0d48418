"""Kernels for the processor, in Numba."""
