"""Label stores, timed."""
