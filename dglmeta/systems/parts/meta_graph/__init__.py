"""Parts of Meta-Graph: settings, how a run begins, and what its algorithm calls."""
