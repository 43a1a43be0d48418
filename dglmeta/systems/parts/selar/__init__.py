"""Parts of SELAR: settings, how a run begins, and what its algorithm calls."""
