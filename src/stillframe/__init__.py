"""Stillframe: freezes a stopped server into a private image, and keeps, shares, moves and boots images."""

__version__ = "0.1.0"
