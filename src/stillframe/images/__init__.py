"""Owns images: what is known of them, who sees them, and the jobs that make, store and move them.

An image's bytes are a layer (see the layers room); the image row only points at it.
"""
