"""The same kernels for CUDA, in CuPy."""
