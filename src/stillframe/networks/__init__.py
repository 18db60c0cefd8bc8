"""Owns the truth about networks: every project has exactly one, which lets servers out and nothing in.

A server's machine sits behind a network stack of its own in user mode, so the guest always has the same address and two
servers cannot reach each other. Nothing of it can be changed, so nothing of it is stored: all ids follow from the
project's or the server's.
"""
