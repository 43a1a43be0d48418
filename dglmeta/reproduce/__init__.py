"""One file for every table of the papers."""
