"""Bilevel gradients, timed."""
