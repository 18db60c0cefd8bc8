"""Owns flavors: the sizes a server can have."""
