"""The cost of calling an op."""
