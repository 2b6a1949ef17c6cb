# SPDX-License-Identifier: BSD-2-Clause
"""A machine that cannot run the config: the text names what is missing, and the run ends by itself
with status 2."""

from support import BIOS, LONG, UEFI, SystemTest, boot, run


class Refusals(SystemTest):
    """By scripts/run, as a user would see it."""

    cost = 70

    def refused(self, *options, config="demo"):
        """The console of a run that has to be refused."""
        done = run("scripts/run", "--config", config, "--headless", "--timeout", LONG, *options,
                   check=False)
        self.assertEqual(done.returncode, 2, done.stdout[-2000:] + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\[bulkhead\] REFUSED: ")
        self.assertNotIn("[linux]", done.stdout)
        return done.stdout

    def test_no_vmx(self):
        text = self.refused("--firmware", BIOS, "--model", "p4_prescott_celeron_336")
        self.assertRegex(text, r"core 0: CPUID\.1:ECX\.VMX\[bit 5\] is 0: this CPU has no VMX")

    def test_no_ept(self):
        text = self.refused("--firmware", BIOS, "--model", "core2_penryn_t9600")
        self.assertRegex(text, r'(?i)IA32_VMX_PROCBASED_CTLS2 \(48bH\) bit 33 is 0: "enable EPT"')
        for name in ("enable VPID", "unrestricted guest", "activate VMX-preemption timer"):
            self.assertIn(f'"{name}" is missing', text)

    def test_no_unrestricted_guest(self):
        text = self.refused("--firmware", BIOS, "--model", "corei5_lynnfield_750")
        self.assertRegex(
            text, r'(?i)IA32_VMX_PROCBASED_CTLS2 \(48bH\) bit 39 is 0: "unrestricted guest"')
        self.assertEqual(text.count("is missing"), 2)  # one on each core
        self.assertRegex(text, r"to do: use an Intel Core or Xeon of 2010 \(Westmere\) or later")

    def test_too_few_cores(self):
        text = self.refused("--firmware", BIOS, "--cpus", "1")
        self.assertIn("REFUSED: BH021: config/demo.yaml:19: guest heartbeat wants core 1, but this"
                      ' machine has 1 (0..0); change "cpus"\n', text)

    def test_too_little_memory(self):
        text = self.refused("--firmware", BIOS, "--memory", "128")
        self.assertRegex(text, r"REFUSED: BH032: config/demo\.yaml:12: the guests need 272 MiB of memory,"
                         r' but only \d+ MiB are free for them; change "memory"\n')

    def test_hardware_threads(self):
        with boot("demo", BIOS, cpus=4, cpu_options="count=1:2:2") as machine:
            self.assertEqual(machine.wait_end(LONG), "refused")
            self.assertIn("\n[bulkhead] hardware threads of one physical core: 0+1, 2+3\n",
                          machine.console)
            self.assertIn(
                "REFUSED: BH022: config/demo.yaml:19: guest heartbeat's core 1 and guest linux's core"
                " 0 are hardware threads of one physical core; also config/demo.yaml:11;"
                ' change "cpus", or set share_threads\n', machine.console)


class RefusalsUefi(SystemTest):
    """The same under UEFI, and what only UEFI can show: it leaves IA32_FEATURE_CONTROL open."""

    cost = 40

    def test_no_vmx(self):
        with boot("demo", UEFI, exclude=("vmx", "rdrand", "rdseed")) as machine:
            self.assertEqual(machine.wait_end(LONG), "refused")
            self.assertRegex(machine.console, r"\[bulkhead\] core 0: CPUID\.1:ECX\.VMX\[bit 5\] is 0")

    def test_locked_by_firmware(self):
        with boot("bench", UEFI, cpus=1, grub_first="wrmsr 0x3a 0x1") as machine:
            self.assertEqual(machine.wait_end(LONG), "refused", machine.tail())
            self.assertRegex(machine.console, r"IA32_FEATURE_CONTROL \(3AH\) is locked \(bit 0\) "
                             r'with "enable VMX outside SMX operation" \(bit 2\) = 0')
            self.assertRegex(machine.console, r"to do: enable VT-x, save, then switch the power off: .*"
                             r'in the firmware menu: "Intel Virtualization Technology"')
