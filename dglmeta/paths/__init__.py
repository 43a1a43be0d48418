"""Meta-path products, membership, and sampling of pairs and neighbours. Arrays only, no torch."""
