"""Sparse kernels over plain arrays: no torch, no DGL. See README.md for the table of them."""
