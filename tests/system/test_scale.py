# SPDX-License-Identifier: BSD-2-Clause
"""The formulas of docs/SCALE.md, on machines with 1, 2 and 4 cores; `make scale` goes on to 16 and writes the document."""

import measure_scale
from measure_scale import MIB, Case
from support import LONG, TREE, SystemTest, boot
import scale_model  # pylint: disable=import-error,wrong-import-order

ONE, WIDE, FULL = Case(1, 1, 1), Case(2, 1, 2), Case(4, 4, 1)
HOST_MIB = 8192  # as in test_memory.py
IPI = measure_scale.EXITS[-1]
BY_THE_MOMENT = ("IN 40H",)  # one instruction more or less, as the timer stands


class Scale(SystemTest):
    cost = 60

    @classmethod
    def setUpClass(cls):
        measure_scale.build([ONE, WIDE, FULL])
        cls.exits = {case: measure_scale.exit_figures(case) for case in (ONE, WIDE, FULL)}

    def test_pool_and_isolation(self):
        for case in (ONE, WIDE, FULL):
            image = measure_scale.elf_figures(case.config)["image"]
            found = measure_scale.boot_figures(case)
            pages = scale_model.pool(case.cores, case.model, image)
            self.note(f"{case.cores} cores, {case.guests} guests: {found['pool']} pages of the pool: "
                      + ", ".join(f"{what} {count}" for what, count in pages.items()))
            self.assertEqual(found["pool"], sum(pages.values()))
            self.assertEqual(found["looked at"], sum(scale_model.looked_at(case.cores, case.model, image)))
            self.assertEqual(found["ranges"], scale_model.range_count(case.model))

    def test_each_guest_takes_one_struct_vm(self):
        bss = [measure_scale.elf_figures(case.config)["sections"][".bss"] for case in (ONE, FULL)]
        self.assertEqual(bss[1] - bss[0], 3 * scale_model.sizes()["vm"])

    def test_an_exit_costs_the_same_with_four_cores_and_hostile_guests(self):
        for name, (alone, held) in self.exits[ONE].items():
            count = self.exits[FULL][name][0]
            self.note(f"{name}: {alone} instructions on one core, {count} on one of four; {held} with the lock held")
            self.assertLessEqual(abs(count - alone), 1 if name in BY_THE_MOMENT else 0, name)

    def test_an_ipi_looks_at_each_vcpu_of_its_guest_only(self):
        alone, two = self.exits[ONE][IPI][0], self.exits[WIDE][IPI][0]
        self.note(f"{two - alone} instructions for the second vCPU")
        self.assertTrue(0 < two - alone < 50, (alone, two))
        self.assertEqual(self.exits[FULL][IPI][0], alone)


class ScaleKinds(SystemTest):
    """Guests of other sizes and kinds."""

    cost = 20

    def holds(self, config, guests):
        with boot(config, cpus=2, memory=HOST_MIB) as machine:
            pool = int(machine.expect(r"(\d+) of \d+ KiB of the page pool used", LONG)[1]) // 4
        pages = scale_model.pool(2, guests, measure_scale.elf_figures(config)["image"])
        self.note(f"{config}: {pool} pages of the pool: " + ", ".join(f"{what} {count}" for what, count in pages.items()))
        self.assertEqual(pool, sum(pages.values()))

    def test_firmware_and_memory_on_both_sides_of_the_hole(self):
        rom = (TREE / "build" / "guests" / "memory.rom").stat().st_size
        self.holds("rom", [scale_model.Guest(16 * MIB, rom=rom), scale_model.Guest(3136 * MIB)])

    def test_direct(self):
        self.holds("direct", [scale_model.Guest(16 * MIB), scale_model.Guest(16 * MIB, direct=True)])
