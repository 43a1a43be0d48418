"""What is measured: one group a file, each with a function ``run``."""
