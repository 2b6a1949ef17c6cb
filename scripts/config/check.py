# SPDX-License-Identifier: BSD-2-Clause
"""The rules on meaning: everything that two parts of a config, each right by itself, get wrong.

Each function looks at one group of rules, says what is broken, and goes on.
"""
import images
import pc
from pc import Range, size

RESERVED_NAMES = ("bulkhead",)  # the hypervisor's own lines on the console


def check(machine, problems, built):
    """Everything; what needs the images only if they are built."""
    for rule in (check_names, check_threads, check_cores, check_regions, check_ports, check_irqs,
                 check_policies, check_release):
        rule(machine, problems)
    check_sizes(machine, problems)
    for rule in (check_memory, check_ranges, check_addresses, check_images) if built else ():
        rule(machine, problems)


def line_of(machine, place):
    """The line of a place in the config."""
    return machine.source.line(place)


# ---- names ----------------------------------------------------------------------------------


def check_names(machine, problems):
    """BH007 (the file's name), BH010 to BH012."""
    if not images.is_name(machine.name):
        problems.add("BH007", 1, what="config: the file's name as name of the machine",
                     value=f"'{machine.name}'",
                     says="name: with 1 to 15 of a-z, 0-9 and '-', beginning with a letter")
    for kind, things in (("guest", machine.guests), ("shared region", machine.regions)):
        first = {}
        for thing in things:
            line = line_of(machine, thing.place + ("name",))
            what = f"{kind} '{thing.name}'"
            if thing.name in RESERVED_NAMES and kind == "guest":
                problems.add("BH011", line, what=what)
            elif thing.name in first:
                problems.add("BH010", line, first[thing.name], what=what)
            elif thing.name is not None:
                first[thing.name] = line
    names = ", ".join(guest.name for guest in machine.guests if guest.name)
    if machine.console is not None and not machine.guest(machine.console):
        problems.add("BH012", line_of(machine, ("console",)), what="console",
                     value=f"'{machine.console}'", names=names)
    for region in machine.regions:
        for share in region.shares:
            if share.guest is None and all(guest.name for guest in machine.guests):
                name = machine.source.written.get(share.place + ("guest",), "")
                problems.add("BH012", line_of(machine, share.place), value=f"'{name}'",
                             what=f"shared region '{region.name}'", names=names)


# ---- cores ----------------------------------------------------------------------------------


def check_threads(machine, problems):
    """BH021 and BH025, of machine: threads."""
    seen = {}
    for index, group in enumerate(machine.threads):
        for number, core in enumerate(group):
            line = line_of(machine, ("machine", "threads", index, number))
            if core in seen:
                problems.add("BH025", line, seen[core], core=core)
            seen.setdefault(core, line)
            _check_core(machine, problems, "machine: threads", core, line)


def _check_core(machine, problems, what, core, line):
    if machine.cores is not None and core >= machine.cores:
        problems.add("BH021", line, line_of(machine, ("machine", "cores")), what=what, core=core,
                     cores=machine.cores, last=machine.cores - 1)


def siblings(machine, core):
    """The other hardware threads of its core."""
    return [other for group in machine.threads if core in group for other in group if other != core]


def check_cores(machine, problems):
    """BH020 to BH024, BH026, BH027. Gives cores to the guests that only say how many."""
    owner = {}  # core -> guest
    for guest in machine.guests:
        count = len(guest.cores) if guest.cores is not None else guest.count
        if count is not None and not 1 <= count <= pc.MAX_VCPUS:
            problems.add("BH023", line_of(machine, guest.at("cpus")), what=guest.label, count=count)
            guest.count = None
        for core in guest.cores or []:
            line = line_of(machine, guest.at("cpus"))
            if core in owner:
                problems.add("BH020", line, line_of(machine, owner[core].at("cpus")),
                             what=guest.label, core=core)
            owner.setdefault(core, guest)
            _check_core(machine, problems, guest.label, core, line)
    for guest in machine.guests:
        if guest.cores is None and guest.count is not None:
            choose_cores(machine, guest, owner, problems)
    check_sharing(machine, owner, problems)
    check_direct(machine, problems)


def check_direct(machine, problems):
    """BH026, BH027, and BH008: what goes with a core's own local APIC."""
    for guest in machine.guests:
        if not guest.direct:
            continue
        line, where = line_of(machine, guest.at("apic")), line_of(machine, guest.at("cpus"))
        if len(guest.cores or ()) > 1:
            problems.add("BH026", line, where, what=guest.label, count=len(guest.cores))
        if 0 in (guest.cores or ()):
            problems.add("BH027", line, where, what=guest.label)
        if guest.without:
            problems.add("BH008", line_of(machine, guest.at("without")), line, what=guest.label,
                         key="'without' and 'apic: direct'")


def choose_cores(machine, guest, owner, problems):
    """The lowest free ones that no other guest's core has a hardware thread in common with."""
    def is_free(core):
        others = {id(owner[other]) for other in siblings(machine, core) if other in owner}
        if guest.direct and core == 0:
            return False
        return core not in owner and (machine.share_threads or not others - {id(guest)})

    chosen = []
    for core in range(machine.cores or pc.MAX_CORES):
        if len(chosen) < guest.count and is_free(core):
            chosen.append(core)
            owner[core] = guest
    if len(chosen) < guest.count:
        also = line_of(machine, ("machine", "cores")) if machine.cores else None
        hint = "use fewer" + (", or correct machine: cores" if machine.cores else "")
        problems.add("BH024", line_of(machine, guest.at("cpus")), also, what=guest.label,
                     count=guest.count, left=len(chosen), hint=hint)
    guest.cores = chosen


def check_sharing(machine, owner, problems):
    """BH022: two guests on hardware threads of one core."""
    if machine.share_threads:
        return
    for core, guest in sorted(owner.items(), key=lambda item: item[0]):
        for other in siblings(machine, core):
            neighbour = owner.get(other)
            if neighbour in (None, guest) or neighbour.index > guest.index:
                continue  # said once, of the later guest
            problems.add("BH022", line_of(machine, guest.at("cpus")),
                         line_of(machine, neighbour.at("cpus")), what=guest.label, core=core,
                         other=other, guest=neighbour.name)


# ---- memory ---------------------------------------------------------------------------------


def in_range(machine, problems, thing, place, value, low, high, step):
    """BH030 and BH031; whether the value is right."""
    line = line_of(machine, place)
    if not low <= value <= high:
        problems.add("BH030", line, what=thing, value=machine.source.show(place, value),
                     low=size(low), high=size(high))
    elif value % step:
        below = value // step * step
        problems.add("BH031", line, what=thing, value=machine.source.show(place, value),
                     step=size(step), below=size(below), above=size(below + step))
    else:
        return True
    return False


def check_sizes(machine, problems):
    """BH030, BH031."""
    for guest in machine.guests:
        if guest.memory is not None and not in_range(
                machine, problems, f"{guest.label}: memory", guest.at("memory"), guest.memory,
                pc.MIN_MEMORY, pc.MAX_MEMORY, pc.MEMORY_STEP):
            guest.memory = None
    for region in machine.regions:
        place = region.place + ("size",)
        if region.len is not None and not in_range(
                machine, problems, f"shared region '{region.name}': size", place, region.len,
                pc.PAGE, pc.MAX_REGION, pc.PAGE):
            region.len = None


def check_memory(machine, problems):
    """BH032."""
    if machine.memory is None:
        return
    need = sum(length for _, length, _, _ in blocks(machine)) + pc.HYPERVISOR
    need += sum(pc.align_up(len(file.content or b""), pc.PAGE) for file in machine.images().values())
    if need > machine.memory:
        problems.add("BH032", line_of(machine, ("machine", "memory")), need=size(pc.align_up(need, pc.MIB)),
                     have=size(machine.memory))


def blocks(machine):
    """(what, bytes, alignment, place) of each block of host memory that guests are given."""
    for guest in machine.guests:
        place = guest.at("memory")
        memory = guest.memory or 0
        low = min(memory, pc.HOLE)
        yield guest.label, low, pc.MEMORY_STEP, place
        if memory > low:
            yield guest.label, memory - low, pc.MEMORY_STEP, place
        if guest.type == "firmware" and guest.kernel and guest.kernel.content:
            rom = len(guest.kernel.content)
            yield guest.label, rom, alignment(rom), guest.at("kernel")
    for region in machine.regions:
        length = region.len or 0
        yield f"shared region '{region.name}'", length, alignment(length), region.place + ("size",)


def alignment(length):
    """Of a block in host memory: as take_block() in guest/load.c has it."""
    return pc.MEMORY_STEP if length >= pc.MEMORY_STEP else pc.PAGE


def check_ranges(machine, problems):
    """BH033 to BH035. Whether the blocks fit in any order is for the boot to say; the sum and each
    alone are told here."""
    good = []
    for (first, last), place in machine.ranges:
        line = line_of(machine, place)
        if first % pc.PAGE or (last + 1) % pc.PAGE or last < first:
            low = min(first, last) // pc.PAGE * pc.PAGE
            high = pc.align_up(max(first, last) + 1, pc.PAGE) - 1
            problems.add("BH034", line, value=machine.source.show(place, ""),
                         hint=f"{low:#x}-{high:#x}")
            continue
        found = Range(first, last + 1 - first, machine.source.written[place], line)
        for other in good:
            if found.meets(other):
                problems.add("BH035", line, other.line, value=found.what, other=other.what)
        good.append(found)
    if len(good) < len(machine.ranges) or not good:
        return
    usable = joined(good)
    left = sum(end - base for base, end in usable)
    for what, length, step, place in blocks(machine):
        room = max((end - pc.align_up(base, step) for base, end in usable), default=0)
        left -= length
        if length > room or left < 0:
            problems.add("BH033", line_of(machine, place), line_of(machine, ("machine", "ranges")),
                         what=what, len=size(length))
            left += length


def joined(ranges):
    """(base, end) of what blocks may have of some ranges that do not overlap; neighbours are one."""
    found = []
    for each in sorted(ranges):
        base = max(each.base, pc.BLOCK_MIN)
        if found and found[-1][1] == base:
            found[-1] = (found[-1][0], each.end)
        elif base < each.end:
            found.append((base, each.end))
    return found


# ---- guests ---------------------------------------------------------------------------------


def check_images(machine, problems):
    """BH060 to BH078: the images, and what is loaded with them."""
    for guest in machine.guests:
        images.check(machine, guest, problems)


# ---- guest-physical addresses ---------------------------------------------------------------


def memory_map(guest):
    """(range, access) of each guest-physical range at which memory answers, but the local APIC's."""
    memory = guest.memory or 0
    low = min(memory, pc.HOLE)
    if guest.type == "firmware":
        yield Range(0, pc.VGA, "RAM"), "rwx"
        yield Range(pc.VGA_END, low - pc.VGA_END, "RAM"), "rwx"
    else:
        yield Range(0, low, "RAM"), "rwx"
    if memory > low:
        yield Range(pc.HIGH, memory - low, "RAM"), "rwx"
    if guest.type == "firmware" and guest.kernel and guest.kernel.content:
        rom = len(guest.kernel.content)
        yield Range(pc.HIGH - rom, rom, "ROM"), "rx"


def check_regions(machine, problems):
    """BH041, BH090 to BH094."""
    for region in machine.regions:
        what = f"shared region '{region.name}'"
        line = line_of(machine, region.place)
        if region.readers == 0:
            problems.add("BH090", line, what=what)
        if region.writers == 0:
            problems.add("BH091", line, what=what)
        if region.writers > 1:
            problems.add("BH092", line_of(machine, region.place + ("writer",)), what=what,
                         count=region.writers)
        first = {}
        for share in region.shares:
            where = line_of(machine, share.place)
            if share.guest and share.guest.index in first:
                problems.add("BH093", where, first[share.guest.index], what=what,
                             guest=share.guest.name)
            if share.guest:
                first.setdefault(share.guest.index, where)
            step = pc.MEMORY_STEP if region.len and region.len % pc.MEMORY_STEP == 0 else pc.PAGE
            if share.at is not None and share.at % step:
                below = share.at // step * step
                problems.add("BH041", line_of(machine, share.place + ("at",)), what=what,
                             value=f"{share.at:#x}", below=f"{below:#x}", step=size(step),
                             above=f"{below + step:#x}")
    for guest in machine.guests:
        if len(guest.shares) > pc.MAX_SHARES:
            problems.add("BH094", line_of(machine, guest.place), what=guest.label,
                         count=len(guest.shares), limit=pc.MAX_SHARES)


def check_addresses(machine, problems):
    """BH040."""
    for guest in machine.guests:
        taken = [Range(r.base, r.len, f"its {r.what}", line_of(machine, guest.at("memory")))
                 for r, _ in memory_map(guest) if guest.memory]
        taken.append(pc.CHIP_SET)
        for share in guest.shares:
            region = machine.regions[share.region]
            if share.at is None or not region.len:
                continue
            found = Range(share.at, region.len, f"shared region '{region.name}'",
                          line_of(machine, share.place + ("at",)))
            for other in taken:
                if found.meets(other):
                    problems.add("BH040", found.line, other.line or "which each guest has",
                                 what=guest.label, thing=found.what, range=found.show(),
                                 other=other.what, other_range=other.show())
            taken.append(found)


# ---- devices --------------------------------------------------------------------------------


def ports(machine, guest):
    """Every device's ports, the PC's own first."""
    found = list(pc.PORTS)
    if guest.fw_cfg:
        found += pc.FW_CFG_PORTS
    if guest.watchdog:
        found.append(Range(guest.watchdog_port, pc.WATCHDOG_PORTS, "watchdog",
                           line_of(machine, guest.at("devices", "watchdog", "port"))))
    if guest.exit_port:
        found.append(Range(guest.exit_port, pc.EXIT_PORTS, "debug exit",
                           line_of(machine, guest.at("debug", "exit_port"))))
    return found


def check_ports(machine, problems):
    """BH050."""
    for guest in machine.guests:
        found = ports(machine, guest)
        for index, port in enumerate(found):
            for other in found[:index]:
                if port.line and port.meets(other):
                    problems.add("BH050", port.line, other.line or "which each guest has",
                                 what=guest.label, device=port.what, range=port.show(),
                                 other=other.what, other_range=other.show())


def irqs(machine, guest):
    """(interrupt, device, line) of each device that has one, the PC's own first."""
    found = [(irq, device, 0) for irq, device in pc.IRQS.items()]
    for share in guest.shares:
        if share.irq is not None:
            found.append((share.irq, f"doorbell of '{machine.regions[share.region].name}'",
                          line_of(machine, share.place + ("doorbell",))))
    return found


def check_irqs(machine, problems):
    """BH051."""
    for guest in machine.guests:
        found = irqs(machine, guest)
        taken = {irq for irq, _, _ in found}
        free = ", ".join(str(irq) for irq in range(16) if irq not in taken)
        first = {}
        for irq, device, line in found:
            if irq in first:
                other, other_line = first[irq]
                problems.add("BH051", line, other_line or "which each guest has", what=guest.label,
                             irq=irq, device=device, other=other, free=free)
            first.setdefault(irq, (device, line))


# ---- policies, releases ---------------------------------------------------------------------


def check_policies(machine, problems):
    """BH080, BH081."""
    for guest in machine.guests:
        if guest.exit_port and guest.policies["on_poweroff"].restart:
            problems.add("BH080", line_of(machine, guest.at("on_poweroff")),
                         line_of(machine, guest.at("debug", "exit_port")), what=guest.label)
        crash = guest.policies["on_crash"]
        need = crash.limit * guest.watchdog
        if guest.watchdog and crash.within and need >= crash.within:
            problems.add("BH081", line_of(machine, guest.at("on_crash")),
                         line_of(machine, guest.at("devices", "watchdog", "timeout")),
                         what=guest.label, limit=crash.limit, within=crash.within,
                         timeout=guest.watchdog, need=need + guest.watchdog)


def check_release(machine, problems):
    """BH100."""
    for guest in machine.guests:
        if machine.release and guest.exit_port:
            problems.add("BH100", line_of(machine, guest.at("debug", "exit_port")),
                         line_of(machine, ("release",)), what=guest.label, key="debug: exit_port")
