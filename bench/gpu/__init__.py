"""Kernels on a CUDA device against what else computes the same there."""
