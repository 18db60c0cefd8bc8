"""Owns the question whether a file from outside may become a disk.

Answered before any program of ours sees the file: oslo.utils tells what it is, then the rules of that format are
checked here. A file passes if it is one whole disk and nothing else: it names no other file, holds no other states of
the disk, is not larger inside than allowed, and has all the bytes its tables speak of.
"""

from stillframe.qemu.inspection.detection import inspect_image
from stillframe.qemu.inspection.model import ForeignFormat, InspectedImage, Window

__all__ = ["ForeignFormat", "InspectedImage", "Window", "inspect_image"]
