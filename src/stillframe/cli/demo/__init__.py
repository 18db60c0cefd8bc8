"""`stillframe demo`: the whole story once, on real machines, through the public API only."""
