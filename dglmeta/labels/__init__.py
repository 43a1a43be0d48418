"""Auxiliary labels from meta-paths: plans, blocks, the store and the runner. No torch."""
