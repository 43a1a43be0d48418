"""Parts of SAME: settings, how a run begins, and what its algorithm calls."""
