# SPDX-License-Identifier: BSD-2-Clause
"""The guest's ACPI tables as iasl sees them: the DSDT compiles silently, all tables disassemble."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Writes the area to stdout: acpi_tables_build(area, size, gpa, guest, dsdt).
DUMP_C = """
#include <stdio.h>
#include "guest/acpi_tables.h"
int main(void)
{
    static const struct guest_config guest = {
        .vcpu_count = 4, .hpet = true, .watchdog_s = 60, .watchdog_port = 0x610};
    static uint8_t area[ACPI_AREA_SIZE];
    if (acpi_tables_build(area, sizeof(area), ACPI_AREA_GPA, &guest, dsdt_aml,
                          (size_t)(dsdt_aml_end - dsdt_aml)) != OK)
        return 1;
    return fwrite(area, 1, sizeof(area), stdout) != sizeof(area);
}
"""
AREA_GPA = 0xE0000


def number(data, at, length):
    return int.from_bytes(data[at : at + length], "little")


class AcpiTables(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="acpi_tables.")
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.compiled = cls.run_tool("iasl", "-we", "-p", "dsdt", f"{ROOT}/guest/dsdt.asl")
        with open(os.path.join(cls.dir, "dsdt.aml"), "rb") as stream:
            cls.aml = stream.read()
        with open(os.path.join(cls.dir, "dump.c"), "w", encoding="ascii") as stream:
            stream.write(DUMP_C)
        sources = [f"{ROOT}/guest/acpi_tables.c", f"{ROOT}/guest/dsdt.S", "dump.c"]
        cls.run_tool("gcc", f"-I{ROOT}", "-Wa,-I.", "-o", "dump", *sources)
        cls.area = subprocess.run([f"{cls.dir}/dump"], stdout=subprocess.PIPE, check=True).stdout

    @classmethod
    def run_tool(cls, *command):
        result = subprocess.run(
            command, cwd=cls.dir, capture_output=True, text=True, errors="replace", check=False
        )
        if result.returncode != 0:
            raise AssertionError(result.stdout + result.stderr)
        return result.stdout + result.stderr

    def tables(self):
        """Signature -> bytes of all tables, by following the pointers from the RSDP."""
        found = {}
        xsdt = self.table(number(self.area, 24, 8))
        places = [number(xsdt, at, 8) for at in range(36, len(xsdt), 8)]
        places += [number(self.table(places[0]), at, 4) for at in (36, 40)]
        for table in [xsdt] + [self.table(place) for place in places]:
            found[table[:4].decode()] = table
        return found

    def table(self, gpa):
        at = gpa - AREA_GPA
        return self.area[at : at + number(self.area, at + 4, 4)]

    def test_dsdt_compiles_without_warnings_or_remarks(self):
        self.assertIn("0 Errors, 0 Warnings, 0 Remarks", self.compiled)

    def test_all_tables_are_there(self):
        self.assertEqual(self.area[:8], b"RSD PTR ")
        self.assertEqual(set(self.tables()), {"XSDT", "FACP", "APIC", "HPET", "WDAT", "FACS", "DSDT"})
        self.assertEqual(self.tables()["DSDT"], self.aml)

    def test_iasl_finds_nothing_wrong_in_any_table(self):
        for signature, table in self.tables().items():
            name = f"{signature.lower()}.dat"
            with open(os.path.join(self.dir, name), "wb") as stream:
                stream.write(table)
            said = self.run_tool("iasl", "-d", name)
            with open(os.path.join(self.dir, name[:-3] + "dsl"), encoding="latin-1") as stream:
                text = said + stream.read()
            bad = re.search(r"(?i)warning|error|incorrect|invalid|unknown|exceeds", text)
            self.assertIsNone(bad, f"{signature}: {text}")

    def test_s5_sleep_type_is_the_one_of_the_device(self):
        with open(f"{ROOT}/devices/acpi_pm.h", encoding="ascii") as stream:
            value = int(re.search(r"#define ACPI_PM_SLP_TYP_S5 (\d+)u", stream.read())[1])
        # NameOp, "_S5_", PackageOp, length, 4 elements, BytePrefix value, BytePrefix value, 0, 0
        self.assertIn(b"\x08_S5_\x12\x08\x04\x0a%c\x0a%c\x00\x00" % (value, value), self.aml)

    def test_aml_is_reproducible(self):
        os.mkdir(os.path.join(self.dir, "other"))
        self.run_tool("iasl", "-we", "-p", "other/dsdt", f"{ROOT}/guest/dsdt.asl")
        with open(os.path.join(self.dir, "other", "dsdt.aml"), "rb") as stream:
            self.assertEqual(stream.read(), self.aml)


if __name__ == "__main__":
    unittest.main()
