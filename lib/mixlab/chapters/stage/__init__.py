"""Moving figures: one host, one small ES module a piece, no kernel needed to play."""
