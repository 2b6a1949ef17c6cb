# SPDX-License-Identifier: BSD-2-Clause
"""tests/guest/apic.c with and without each of the processor's aids: the guest notices nothing, and
where an aid is used its exits are gone."""

from support import BIOS, LONG, SystemTest, boot, guest_lines, tokens

AIDS = {
    "tpr": "TPR shadow", "access": "APIC accesses", "registers": "APIC registers",
    "vid": "virtual-interrupt delivery", "posted": "posted interrupts", "x2apic": "x2APIC",
}
ALL = frozenset(AIDS)

# config, CPU model, which aids are used there
MACHINES = {
    "all": ("apic", "corei7_skylake_x", ALL),
    "software": ("apic-software", "corei7_skylake_x", frozenset()),
    "no access": ("apic-no-access", "corei7_skylake_x", ALL - {"access"}),
    "no registers": ("apic-no-regs", "corei7_skylake_x", ALL - {"registers"}),
    "no delivery": ("apic-no-vid", "corei7_skylake_x", ALL - {"vid", "posted"}),
    "no posted": ("apic-no-posted", "corei7_skylake_x", ALL - {"posted"}),
    "no x2apic": ("apic-no-x2apic", "corei7_skylake_x", ALL - {"x2apic"}),
    "haswell": ("apic", "corei7_haswell_4770", ALL - {"posted"}),
}

COUNT = 1000  # operations of a block
SLACK = 99  # other exits of the same kind meanwhile
BLOCKS = ("cr8", "tpr", "id", "eoi", "self-ipi", "ipi-busy", "ipi-halted")
KINDS = ("cr", "mmio", "apic-write", "eoi", "tpr", "rdmsr", "wrmsr")


def written(aids, mode, taken_by):
    """The kind of exit of a write to the local APIC that one of `taken_by` answers; None: none."""
    if mode == "x2apic":
        return None if "x2apic" in aids and taken_by & aids else "wrmsr"
    if "access" not in aids:
        return "mmio"
    if taken_by & aids:
        return None
    return "apic-write" if "registers" in aids else "mmio"


def expected(aids, mode, block):
    """The exits of (sender, receiver) in a block, in units of COUNT, by kind."""
    x2apic = mode == "x2apic"
    page = ({"x2apic"} if x2apic else {"access"}) <= aids
    eoi = written(aids, mode, {"vid"})
    sender, receiver = [], []
    if block == "cr8":
        sender = [None if "tpr" in aids else "cr"]
    elif block == "tpr":
        sender = [written(aids, mode, {"tpr"})]
    elif block == "id":
        sender = [None if page and "registers" in aids else "rdmsr" if x2apic else "mmio"]
    elif block == "eoi":
        sender = [eoi]
    elif block == "self-ipi":
        sender = [written(aids, mode, {"vid"}), eoi]
    elif x2apic:
        sender = ["wrmsr"]
    else:  # both halves of the ICR; the low one needs us
        high = None if page and "registers" in aids else "mmio"
        sender = [high, "apic-write" if page and {"registers", "vid"} & aids else "mmio"]
    if block.startswith("ipi"):
        receiver = [eoi] + ([] if "posted" in aids else ["host-irq"])
    return [{kind: kinds.count(kind) for kind in KINDS + ("host-irq", "irq-window")}
            for kinds in (sender, receiver)]


def run(config, model):
    """Boot a machine; returns (boot report, the guest's lines, exits by (mode, block))."""
    with boot(config, BIOS, 2, model=model) as machine:
        machine.expect(r"^\[apic\] apic \d+ passed, \d+ failed\n", LONG)
        exits, before = {}, None
        for _ in range(2 * (len(BLOCKS) + 1)):
            mode, block = machine.expect(r"^\[apic\] count (\S+) (\S+)\n", LONG).groups()
            machine.send("\x1d?")
            now = [tokens(machine.expect(rf"^\[bulkhead\] guest apic: vCPU {cpu}: exits:(.*)\n", LONG)[1])
                   for cpu in range(2)]
            if block != "begin":
                exits[mode, block] = [{kind: a[kind] - b.get(kind, 0) for kind in a}
                                      for a, b in zip(now, before)]
            before = now
            machine.send(" ")
        machine.wait_end(LONG)
        report = next(line for line in machine.console.split("\n") if "local APIC:" in line)
        lines = guest_lines(machine.console, "apic")
    return report, lines, exits


class LocalApic(SystemTest):
    cost = 90

    @classmethod
    def setUpClass(cls):
        cls.runs = {name: run(config, model) for name, (config, model, _) in MACHINES.items()}

    def test_report_names_what_is_used(self):
        for name, (_, _, aids) in MACHINES.items():
            used = ", ".join(text for aid, text in AIDS.items() if aid in aids)
            self.assertRegex(self.runs[name][0], rf"local APIC: {used or 'software only'}$", name)

    def test_no_check_fails(self):
        for name, (_, lines, _) in self.runs.items():
            self.assertEqual([line for line in lines if line.startswith("FAIL")], [], name)
            self.assertRegex("\n".join(lines), r"(?m)^apic \d{3} passed, 0 failed$", name)

    def test_guest_sees_the_same_with_and_without(self):
        first = self.runs["all"][1]
        for name, (_, lines, _) in self.runs.items():
            self.assertEqual(lines, first, name)

    def test_exits_are_those_of_what_is_used(self):
        wrong = []
        for name, (_, _, aids) in MACHINES.items():
            for (mode, block), measured in self.runs[name][2].items():
                for cpu, want in enumerate(expected(aids, mode, block)):
                    kinds = KINDS if cpu == 0 else want  # the console's interrupts are the first's
                    wrong += [f"{name}, {mode} {block}, vCPU {cpu}: {kind} {measured[cpu].get(kind, 0)},"
                              f" not {want[kind] * COUNT}" for kind in kinds
                              if not 0 <= measured[cpu].get(kind, 0) - want[kind] * COUNT <= SLACK]
        self.assertEqual(wrong, [])

    def test_posted_interrupts_cause_no_exit_at_the_receiver(self):
        exits = self.runs["all"][2]
        for mode in ("xapic", "x2apic"):
            for block in ("ipi-busy", "ipi-halted"):
                total = sum(exits[mode, block][1].values())
                self.note(f"{mode} {block}: {total} exits of the receiver for {COUNT} interrupts")
                self.assertLess(total, 20)
