"""All SQL of the identity room but the one big query, which is in standings.py."""
