"""Owns jobs: the row a caller polls, and the durable engine that carries it out.

A job is one row and one workflow under one id. `service.py` submits, reads, cancels and ends jobs inside the caller's
transaction; `recipes.py` says what a job of a kind does, step by step; `engine.py` runs recipes in the worker process.
"""
