"""Owns volumes: the disks servers write to. A volume's bytes are its layer, the writable top of a chain of layers."""
