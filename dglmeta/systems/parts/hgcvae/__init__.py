"""Parts of HGCVAE: settings, how a run begins, and what its algorithm calls."""
