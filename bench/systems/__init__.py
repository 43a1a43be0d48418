"""Whole training steps, timed."""
