"""What administrators of the platform have let single projects have, where it differs from what all others may have.

Each room counts its own things and knows its own defaults; here is only what was set instead.
"""
