"""Who may do what: domains, projects, users, roles, passwords, tokens and access keys.

Owns the tables of these and the key files in `keys/`; every other room knows a caller only as `model.Caller`.
"""
