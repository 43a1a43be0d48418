"""Data sets: readers, synthetic graphs, splits, and the registry that finds or fetches them."""
