"""Owns layers: the disk files everything else points at, how they stack, and when their bytes go.

A layer is one file, named by its id, never renamed. It is written by one owner (a volume, an upload, a job), then
sealed; from then on it never changes, and others may lie above it. Images, volumes and child layers refer to it by
foreign key, and only a layer nobody refers to loses its bytes.
"""
