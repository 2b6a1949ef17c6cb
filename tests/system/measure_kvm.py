# SPDX-License-Identifier: BSD-2-Clause
"""The peer: what tests/system/measure.py measures under Bulkhead, under KVM on Debian's kernel, on
the same emulated machine and processor. The VMM is tests/kvm/vmm.c; `make build/kvm-NAME/bulkhead.iso`
makes the images."""

import re

from measure import LINUX_MODEL
from support import BIOS, LONG, iso, tokens
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
    total = {}
    for line in re.findall(r"(?m)^vmm: vCPU \d+:(.*)$", console):
        for name, count in tokens(line).items():
            total[name] = total.get(name, 0) + count
    return total


def kvm_bench(cpus=1, model=DEFAULT_MODEL):
    """tests/guest/bench.c with as many vCPUs as the machine has CPUs. `rows`: the numbers of each
    line by their names, as {"cpuid": {"min": 968}}; with one CPU they are instructions. `console`:
    all text, for whoever knows the lines better; `exits` as kvm_exits()."""
    console = kvm_console("bench", cpus, model)
    rows = {name: {word: int(number) for word, number in re.findall(r"([a-z]\w*) (\d+)", rest)}
            for name, rest in re.findall(r"(?m)^bench (\S+) (.*\d)$", console)}
    return {"rows": rows, "console": console, "exits": kvm_exits(console)}


def kvm_linux(name="timed", cpus=1, model=LINUX_MODEL):
    """Linux with build/initramfs.NAME.cpio.gz until it powers off. `boot`: from the kernel's entry
    to the line `ticks: entry N now N`, as measure.bare_linux(); with one CPU that is instructions."""
    console = kvm_console(name, cpus, model)
    entry, now = map(int, re.search(r"(?m)^ticks: entry (\d+) now (\d+)$", console).groups())
    return {"boot": now - entry, "console": console, "exits": kvm_exits(console)}
