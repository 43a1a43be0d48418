"""Kernels through autograd against the ops of DGL, torch and MKL."""
