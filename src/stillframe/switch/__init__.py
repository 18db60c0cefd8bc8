"""The switch: one process per worker, through which every machine's network cards reach each other, and nothing else.

It has no network of its own and opens no port. Each card is a stream of Ethernet frames on a Unix socket of its QEMU;
what may pass from one to another is told by a plan that the worker sends. See docs/decisions/0005-networks.md.
"""
