"""Benchmarks: each kernel and system against the rivals that are installed."""
