"""Owns every program we start on disks: qemu-img and QEMU, their sandbox, and the machines that outlive us.

model        disk chains and what the tools say about them
graph        the explicit block graph handed to the tools: nothing is probed, no name in a header is followed
qcow2        an empty qcow2 file as bytes: a new overlay costs one write, not a process
sandbox      what a program may see and use, as an argv prefix
host         which sandbox this host can give, found out once
runner       runs one tool to its end, its deadline or its cancellation
img          what we ask of qemu-img
inspection   whether a file from outside may become a disk
accelerator  KVM or TCG, proven by running a guest
machine      a running QEMU: start, find, stop
qmp          talking to it
configdrive  the ISO a guest reads its metadata from

This package knows paths and sizes; no database, no request.
"""
