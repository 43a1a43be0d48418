"""Parts of AutoLINC: settings, how a run begins, and what its algorithm calls."""
