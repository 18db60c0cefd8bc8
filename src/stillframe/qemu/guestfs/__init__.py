"""Looks into the disks of guests, and prepares them for the cloud, through libguestfs.

A guest's file systems are never opened by the kernel of this host: libguestfs boots a small system of its own in QEMU,
which has the disk and no network, and that in turn runs in our sandbox.

model    what was found and what was changed
runner   one run: the sandbox, the appliance, the deadline
inside   the program that runs in the sandbox, under the system's Python, which has libguestfs' binding
"""
