"""Kernels for CUDA devices, in CuPy and CUDA C++: the twins of ``dglmeta.kernels.cpu``."""
