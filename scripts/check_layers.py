#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rules of the design that the compiler does not hold.

    scripts/check_layers.py            the sources: includes go only downwards
    scripts/check_layers.py OBJ_DIR    also what was built there: writable objects, indirect jumps,
                                       vector registers

One line for each violation, with its place; the last line is `layers: N passed, N failed`.
"""

import re
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent

# What each folder may include, besides itself.
LAYERS = {
    "lib": (),
    "mm": ("lib",),
    "devices": ("lib",),
    "arch/x86": ("lib", "mm"),
    "arch/x86/vmx": ("lib", "mm", "arch/x86"),
    "guest": ("lib", "mm", "devices", "arch/x86"),
    "boot": ("lib", "mm", "arch/x86", "guest"),
    "boot/efi": ("lib", "boot"),  # the UEFI loader: another program
}
SYSTEM_HEADERS = ("stdint.h", "stdbool.h", "stddef.h", "stdatomic.h", "stdarg.h")
EFI_HEADERS = ("efi.h",)  # gnu-efi's

# Writable objects outside struct cpu, struct vm and struct vcpu, and why each has to be one.
WRITABLE = {
    "arch/x86/apic.c": {
        "xapic": "where the local APIC's registers are mapped; set once at boot"},
    "arch/x86/phys.c": {
        "pool_hpa": "where the page pool is; set once at boot",
        "pool_va": "where it is mapped; set once at boot",
        "windows_ready": "whether the final page tables are in use; set once at boot"},
    "arch/x86/journal.c": {
        "journal": "where the lines for the next boot go; used under the console's log lock"},
    "arch/x86/screen.c": {
        "screen": "the one screen, used under the console's lock"},
    "arch/x86/smp.c": {
        "trampoline_hpa": "the page the other cores start in; set once at boot"},
    "arch/x86/cpu.c": {
        "cpu_list": "the way to each struct cpu",
        "cpu_count": "how many there are"},
    "arch/x86/uart.c": {
        "base": "where the console's UART is; set at boot, and when it is given up"},
    "arch/x86/trap.c": {
        "idt": "the CPU reads it; the same for all cores",
        "drop_idt": "the same"},
    "boot/main.c": {
        "boot": "what the initialisation steps hand on; read-only when guests run"},
    "boot/refusal.c": {
        "found": "what the machine lacks, until all of it is known; at boot only"},
    "boot/multiboot2.S": {
        "*": "stack and page tables before there is any memory to allocate"},
    "guest/load.c": {
        "load_regions": "where the shared regions are, which belong to no one VM; set once at boot"},
    "guest/console.c": {
        "console": "the one console; has its own lock"},
    "guest/dump.c": {
        "dump": "the one table dump that the console can show; under its lock"},
}

# Files that may jump or call through a register, and why.
INDIRECT = {
    "boot/main.c": "one jump onto the final stack",
    "boot/multiboot2.S": "into 64-bit mode, and from the load address to the linked one",
}
INDIRECT_MNEMONIC = re.compile(r"\b(?:l?jmp|l?call)q?\s+\*")
VECTOR_REGISTER = re.compile(r"%(?:[xyz]mm\d+|st\b|mm\d\b)")


# --- sources -----------------------------------------------------------------------------------------


def sources():
    """All C and assembler sources of the product."""
    for folder in LAYERS:
        for pattern in ("*.c", "*.h", "*.S"):
            yield from ((path, folder) for path in sorted((TREE / folder).glob(pattern)))


def include_problem(path, folder, quoted, name):
    """What is wrong with one #include, or None."""
    if not quoted:
        headers = SYSTEM_HEADERS + (EFI_HEADERS if folder == "boot/efi" else ())
        known = ", ".join(f"<{header}>" for header in headers)
        return None if name in headers else f"<{name}> is not freestanding: only {known}"
    target = str(Path(name).parent)
    if not (TREE / name).is_file():
        return f'"{name}": no such file: write includes from the root of the tree'
    allowed = (folder,) + LAYERS[folder]
    if target not in allowed:
        return f'"{name}": {folder} may include only {", ".join(allowed)}'
    return None


def check_includes():
    """Includes go only downwards, and are written from the root."""
    pattern = re.compile(r'^\s*#\s*include\s+(?:(")([^"]+)"|<([^>]+)>)')
    for path, folder in sources():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = pattern.match(line)
            if not match:
                continue
            problem = include_problem(path, folder, match[1], match[2] or match[3])
            if problem:
                yield f"{path.relative_to(TREE)}:{number}: {problem}"


# --- objects -----------------------------------------------------------------------------------------


def objects(folder):
    """(object, its source's name from the root) of everything built in a folder."""
    for path in sorted(Path(folder).rglob("*.o")):
        source = str(path.relative_to(folder))[:-2]
        if (TREE / source).is_file():
            yield path, source


def tool(*command):
    """A tool's output."""
    return subprocess.run([str(word) for word in command], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def check_writable(folder):
    """No writable file-scope object but those of the list; no stale entry in the list."""
    used = set()
    for path, source in objects(folder):
        allowed = WRITABLE.get(source, {})
        for line in tool("nm", path).splitlines():
            kind, name = line.split()[-2:]
            if kind not in "bBdDcC":
                continue
            name = re.sub(r"\.\d+$", "", name)  # static inside a function
            entry = name if name in allowed else "*"
            used.add((source, entry))
            if entry not in allowed:
                yield (f"{source}: writable object '{name}': state belongs to struct cpu, struct vm"
                       " or struct vcpu (or into scripts/check_layers.py, with a reason)")
    for source, names in WRITABLE.items():
        for name in names:
            if (source, name) not in used:
                yield f"scripts/check_layers.py: '{name}' of {source} is listed but does not exist"


def instructions(path):
    """(function, text) of each instruction."""
    function = "?"
    for line in tool("objdump", "-d", "--no-show-raw-insn", path).splitlines():
        match = re.match(r"^[0-9a-f]+ <(.+)>:$", line)
        if match:
            function = match[1]
        elif "\t" in line:
            yield function, line.split("\t", 1)[1]


def check_instructions(folder):
    """No call or jump through a pointer, and no register that belongs to the guests."""
    for path, source in objects(folder):
        for function, text in instructions(path):
            if INDIRECT_MNEMONIC.search(text) and source not in INDIRECT:
                yield f"{source}: {function}: indirect: {text}"
            if VECTOR_REGISTER.search(text):
                yield f"{source}: {function}: uses a guest's FPU or vector register: {text}"


# --- all ---------------------------------------------------------------------------------------------


def main():
    """Command line."""
    checks = [("includes", check_includes())]
    if len(sys.argv) > 1:
        folder = Path(sys.argv[1])
        if not any(objects(folder)):
            sys.exit(f"check_layers: nothing built in {folder}: run make first")
        checks += [("writable objects", check_writable(folder)),
                   ("instructions", check_instructions(folder))]
    failed = 0
    for title, problems in checks:
        problems = list(problems)
        failed += bool(problems)
        for problem in problems:
            print(problem)
        if problems:
            print(f"layers: {title}: {len(problems)} violations")
    print(f"layers: {len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
