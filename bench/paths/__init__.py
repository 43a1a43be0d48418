"""Samples and meta-paths, timed."""
