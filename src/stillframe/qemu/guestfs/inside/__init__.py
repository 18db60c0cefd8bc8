"""The program that runs in the sandbox: `python3 -m stillframe.qemu.guestfs.inside inspect|prepare DISK`.

It runs under the system's Python, so it uses nothing but the standard library, libguestfs' binding and its own modules.
DISK is what qemu-nbd takes; the answer is one JSON object on stdout.

disk         opens the disk in the appliance
guest        the guest's files, and a record of what was changed
inspection   which operating system is on the disk
preparation  the list of what is done to a guest; its parts:
  network    DHCP on every card, no rules from the old hardware
  storage    file systems named by UUID
  identity   nothing that only one machine may have
  drivers    virtio in the initramfs
"""
