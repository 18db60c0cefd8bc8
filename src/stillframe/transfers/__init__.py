"""Owns the ways bytes leave and enter the service: export of an image to an object of OBS (and, later, import)."""
