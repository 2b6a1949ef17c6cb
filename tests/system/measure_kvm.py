# SPDX-License-Identifier: BSD-2-Clause
"""The peer: what tests/system/measure.py measures under Bulkhead, under KVM on Debian's kernel, on
the same emulated machine and processor. The VMM is tests/kvm/vmm.c; `make build/kvm-NAME/bulkhead.iso`
makes the images."""

import re

from measure import LINUX_MODEL, boot_ticks, sum_tokens
from support import BIOS, LONG, iso
import bench_table  # pylint: disable=import-error,wrong-import-order
from machine import DEFAULT_MODEL, Machine  # pylint: disable=import-error,wrong-import-order

MEMORY = 1024  # MiB, of which the guest gets 16 or 256: the host's Linux needs some
PATIENCE = 6 * LONG  # two kernels boot, one under the other


def kvm_console(name, cpus, model):
    """The console of build/kvm-NAME until the machine is off. The host's own lines are in it."""
    with Machine(iso(f"kvm-{name}"), firmware=BIOS, cpus=cpus, model=model, memory=MEMORY) as machine:
        machine.expect(r"^vmm: ended with 0\n", PATIENCE)
        end = machine.wait_end(LONG)
        assert end == "poweroff", f"{end}: {machine.tail()}"
        return machine.console


def kvm_exits(console):
    """KVM's own counters of each vCPU, summed: `exits` is all of them, `io-exits` and others are
    parts of it."""
    return sum_tokens(re.findall(r"(?m)^vmm: vCPU \d+:(.*)$", console))


def kvm_bench(cpus=1, model=DEFAULT_MODEL):
    """tests/guest/bench.c with as many vCPUs as the machine has CPUs. `rows` as bench_table.parse(): with
    one CPU they are instructions. `console`: all text; `exits` as kvm_exits()."""
    console = kvm_console("bench", cpus, model)
    return {"rows": bench_table.parse(console), "console": console, "exits": kvm_exits(console)}


def kvm_linux(name="timed", cpus=1, model=LINUX_MODEL):
    """Linux with build/initramfs.NAME.cpio.gz until it powers off. `boot`: from the kernel's entry
    to the line `ticks: entry N now N`, as measure.bare_linux(); with one CPU that is instructions."""
    console = kvm_console(name, cpus, model)
    entry, now = boot_ticks(console)
    return {"boot": now - entry, "console": console, "exits": kvm_exits(console)}
