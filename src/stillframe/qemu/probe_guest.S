# The guest of the accelerator probe: a firmware of 64 KiB that goes through the modes an operating system goes through,
# counts, and ends QEMU. accelerator.py carries it assembled; a test compares the two. To assemble:
#   as --32 probe_guest.S -o probe_guest.o && objcopy -O binary -j .text probe_guest.o probe_guest.bin
# QEMU maps it below 4 GiB, so offset x is at 0xffff0000 + x.

.section .text
base:
.org 0xff00
.code16
start:
    cli
    cs lgdtl gdt_pointer - base
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0                      # protected mode
    ljmpl $0x08, $0xffff0000 + (protected - base)

.code32
protected:
    mov $0x10, %eax
    mov %eax, %ds
    # Page tables in the first pages of memory, pages of 2 MiB: one of memory at 0, and one of this code below 4 GiB.
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    movl $0x4003, 0x2018
    movl $0x0083, 0x3000
    movl $0xffe00083, 0x4ff8
    mov $0x20, %eax
    mov %eax, %cr4                      # PAE
    mov $0x1000, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax                     # EFER.LME
    wrmsr
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0                      # paging, and with it long mode
    ljmpl $0x18, $0xffff0000 + (long_mode - base)

.code64
long_mode:
    # 5 ms on a processor, 60 ms under TCG, half a minute where each instruction is emulated by the kernel.
    mov $20000000, %ecx
count:
    dec %ecx
    jnz count
    mov $0x10, %al
    out %al, $0xf4                      # isa-debug-exit: QEMU ends with 2 * 0x10 + 1
    hlt

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff            # 08: code, 32 bit
    .quad 0x00cf93000000ffff            # 10: data
    .quad 0x00af9b000000ffff            # 18: code, 64 bit
gdt_pointer:
    .word 31
    .long 0xffff0000 + (gdt - base)

.org 0xfff0                             # where a processor starts
.code16
reset:
    .byte 0xe9
    .word start - reset - 3
.org 0x10000
