# SPDX-License-Identifier: BSD-2-Clause
"""ACPI tables of the emulated UEFI machine, which has none of its own (Bochs 3.0 gives OVMF no
way to make them). They say what Bochs's own BIOS says; the layouts are those of ACPI 1.0."""

import struct

PM_BASE = 0xB000  # the PIIX4's power management block: OVMF and Bochs's BIOS both put it there
SCI_IRQ = 9
LAPIC_ADDRESS, IOAPIC_ADDRESS = 0xFEE00000, 0xFEC00000


def _table(signature, body):
    """A table with its 36-byte header, length and checksum."""
    header = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), 1, 0,
                         b"BULKHD", b"BOCHS   ", 1, b"BULK", 1)
    table = bytearray(header + body)
    table[9] = -sum(table) & 0xFF
    return bytes(table)


def madt(cpus, disabled=()):
    """The interrupt controllers: CPUs with APIC ids from 0, one IOAPIC, ISA IRQ 0 on its pin 2."""
    body = struct.pack("<II", LAPIC_ADDRESS, 1)  # flag: there is also a pair of 8259s
    for apic_id in range(cpus):
        body += struct.pack("<BBBBI", 0, 8, apic_id, apic_id,
                            apic_id not in disabled)  # flag: enabled
    body += struct.pack("<BBBBII", 1, 12, cpus, 0, IOAPIC_ADDRESS, 0)  # id: the next free one
    body += struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)
    return _table(b"APIC", body)


def fadt():
    """The PIIX4's fixed registers. GRUB fills in where the DSDT is; there is no FACS."""
    body = struct.pack("<IIBBHIBBBB", 0, 0, 1, 0, SCI_IRQ, 0, 0, 0, 0, 0)  # SMI command 0: no SMM
    body += struct.pack("<8I", PM_BASE, 0, PM_BASE + 4, 0, 0, PM_BASE + 8, 0, 0)
    body += struct.pack("<8B", 4, 2, 0, 4, 0, 0, 0, 0)  # lengths of event, control, -, timer
    body += struct.pack("<HHHHBBBBBBBBI", 0xFFF, 0xFFF, 0, 0, 0, 0, 0, 0, 0x32, 0, 0, 0,
                        1 << 0 | 1 << 2 | 1 << 4)  # WBINVD; C1 works; no power button
    return _table(b"FACP", body)


def dsdt():
    """AML of `Name (\\_S5, Package (4) { 0, 0, 0, 0 })`: sleep type 0 is soft-off in Bochs."""
    return _table(b"DSDT", b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00")


def tables(cpus, disabled=()):
    """Every table by its file name; `disabled` are APIC ids."""
    return {"dsdt.aml": dsdt(), "facp.aml": fadt(), "apic.aml": madt(cpus, disabled)}
