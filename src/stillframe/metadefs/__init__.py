"""Owns metadata definitions: what properties of images (and of other things) are called, mean and may hold.

They are a catalogue for people and their programs; nothing here decides which properties an image may have.
"""
