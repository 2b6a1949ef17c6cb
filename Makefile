# SPDX-License-Identifier: BSD-2-Clause
#
# make [CONFIG=NAME or a path to a .yaml] builds build/NAME/bulkhead.iso; `make help` lists the rest.

CONFIG  ?= demo
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
LD      := ld
OBJCOPY := objcopy
PYTHON  := python3
Q       := @

ifneq ($(filter %.yaml,$(CONFIG)),)
CONFIG_FILE := $(CONFIG)
else
CONFIG_FILE := config/$(CONFIG).yaml
endif
NAME    := $(basename $(notdir $(CONFIG_FILE)))
DEPS    := .deps
OBJ     := build/obj-$(notdir $(CC))
OUT     := build/$(NAME)
GUESTS  := build/guests
UNIT    := build/unit

# --- flags ---------------------------------------------------------------------------------------

WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wundef \
            -Wstrict-prototypes -Wmissing-prototypes -Wcast-qual -Wvla -Wswitch-enum \
            -Wimplicit-fallthrough -Wframe-larger-than=9000 -Werror -Werror=date-time
ifneq ($(findstring gcc,$(notdir $(CC))),)
WARNINGS += -Wduplicated-cond -Wlogical-op -fanalyzer
endif

FREESTANDING := -std=c11 -O2 -g -ffreestanding -fno-pie -fno-common -fno-strict-aliasing \
                -fno-stack-protector -fno-asynchronous-unwind-tables -fcf-protection=none \
                -mgeneral-regs-only -mno-red-zone -ffile-prefix-map=$(CURDIR)=. -I.
# Without vector registers the stack needs no 16-byte alignment.
STACK_ALIGNMENT := $(if $(findstring clang,$(CC)),-mstack-alignment=8,-mpreferred-stack-boundary=3)
CFLAGS   := $(FREESTANDING) $(STACK_ALIGNMENT) -mcmodel=kernel -fno-jump-tables $(WARNINGS)
LDFLAGS  := -nostdlib -static -z max-page-size=4096 --fatal-warnings --build-id=none
HOST_CFLAGS := -std=gnu11 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -I. -Wall -Wextra

# --- the hypervisor ------------------------------------------------------------------------------

# Code that runs at boot, at a guest's start or when something failed: its size counts, not its speed.
COLD := boot/% mm/% arch/x86/acpi.c arch/x86/apic.c arch/x86/cpu.c arch/x86/power.c \
        arch/x86/reasons.c arch/x86/rtc.c arch/x86/smp.c arch/x86/topology.c arch/x86/trap.c arch/x86/tsc.c arch/x86/vmx/check%.c \
        arch/x86/vmx/explain.c arch/x86/vmx/fields.c arch/x86/vmx/vmcs.c arch/x86/vmx/vmx.c \
        guest/acpi_tables.c guest/dump.c guest/exit_task.c guest/firmware.c guest/isolation.c guest/load%.c \
        guest/multiboot_info.c guest/verify.c guest/vm.c lib/fmt.c

SOURCES := $(wildcard lib/*.c mm/*.c devices/*.c arch/x86/*.c arch/x86/*.S arch/x86/vmx/*.c \
             arch/x86/vmx/*.S guest/*.c guest/*.S boot/*.c boot/*.S)
OBJECTS := $(addprefix $(OBJ)/,$(addsuffix .o,$(SOURCES))) $(OBJ)/build/font.c.o
CONFIG_OBJECTS := $(OUT)/config.o $(OUT)/images.o
FONT    := $(DEPS)/terminus16.psf.gz
COMPILE_CONFIG := $(PYTHON) scripts/config --build-dir build --deps-dir $(DEPS)
CONFIG_COMPILER := $(wildcard scripts/config/*.py) config/schema.json

.PHONY: all iso sign pxe setup run run-kvm usb test devtest gallery bench scale cpus config-probe check unit fuzz fuzz-short coverage proof lint clang help clean clean-all
.DELETE_ON_ERROR:
all: iso ## build the ISO of CONFIG (default demo)

iso: $(OUT)/bulkhead.iso

# Set-up is one script that does nothing the second time; its stamp follows its text.
SETUP := $(DEPS)/setup.stamp
$(SETUP): scripts/setup $(wildcard scripts/bochs/*)
	$(Q)scripts/setup && touch $@

setup: ## install what is needed: packages, private Bochs, Debian's kernel
	$(Q)scripts/setup && touch $(SETUP)

$(OBJ)/%.c.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(if $(filter $(COLD),$<),-Os) -MMD -MP -c $< -o $@

$(OBJ)/%.S.o: %.S | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FREESTANDING) -Wa,-I$(OBJ)/guest -MMD -MP -c $< -o $@

$(OBJ)/guest/dsdt.aml: guest/dsdt.asl | $(SETUP)
	@mkdir -p $(@D)
	$(Q)iasl -we -p $(basename $@) $< > $(basename $@).log || { cat $(basename $@).log; exit 1; }

$(OBJ)/guest/dsdt.S.o: $(OBJ)/guest/dsdt.aml

build/font.c: scripts/mkfont | $(SETUP)
	@mkdir -p $(@D)
	$(Q)scripts/mkfont $(FONT) > $@

# Which images the config names, so that they are built first. make reads this file, finds that it is
# missing or old, makes it (after set-up) and starts again: only for goals that build an image.
ifneq ($(filter all iso sign pxe run run-kvm usb build/%,$(or $(MAKECMDGOALS),all)),)
ifeq ($(wildcard $(CONFIG_FILE)),)
$(error no config file $(CONFIG_FILE); there are: $(notdir $(basename $(wildcard config/*.yaml))), or give CONFIG a path to a .yaml)
endif
include $(OUT)/images.mk
endif

$(OUT)/images.mk: $(CONFIG_FILE) $(CONFIG_COMPILER) | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(COMPILE_CONFIG) --list-images $(CONFIG_FILE) > $@.new
	$(Q)sed '1s/^/IMAGES := /; $$!s/$$/ \\/' $@.new > $@ && rm $@.new

$(OUT)/config.stamp: $(CONFIG_FILE) $(CONFIG_COMPILER) $(IMAGES) | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(COMPILE_CONFIG) $(CONFIG_FILE) $(OUT)
	@touch $@

$(OUT)/config.c $(OUT)/images.S: $(OUT)/config.stamp ;

# The output folder is the same for both compilers: what the other one left is not kept.
.PHONY: force
$(OUT)/compiler: force
	@mkdir -p $(@D)
	@echo "$(CC)" | cmp -s - $@ || echo "$(CC)" > $@

$(OUT)/config.o: $(OUT)/config.c $(OUT)/compiler
	$(Q)$(CC) $(CFLAGS) -MMD -MP -MF $@.d -c $< -o $@

$(OUT)/images.o: $(OUT)/images.S $(IMAGES)
	$(Q)$(CC) $(FREESTANDING) -c $< -o $@

$(OUT)/bulkhead.elf: $(OBJECTS) $(CONFIG_OBJECTS) $(OUT)/compiler linker.ld
	@echo "  link  $@"
	$(Q)$(LD) $(LDFLAGS) -T linker.ld -o $@ $(OBJECTS) $(CONFIG_OBJECTS)

$(OUT)/bulkhead.stripped.elf: $(OUT)/bulkhead.elf
	$(Q)$(OBJCOPY) --strip-all $< $@

pxe: $(OUT)/pxe/README ## build/NAME/pxe: what a boot server needs (docs/BOOT.md)

$(OUT)/pxe/README: $(OUT)/bulkhead.stripped.elf $(OUT)/BOOTX64.EFI $(OUT)/bulkhead.iso scripts/mkpxe scripts/boot.ipxe
	@echo "  pxe   $(@D)"
	$(Q)scripts/mkpxe $(filter-out scripts/%,$^) $(@D)

$(OUT)/bulkhead.iso: $(OUT)/bulkhead.stripped.elf $(OUT)/BOOTX64.EFI scripts/mkiso
	@echo "  iso   $@"
	$(Q)scripts/mkiso $(filter-out scripts/%,$^) $@

# --- the UEFI loader -----------------------------------------------------------------------------

# A UEFI application, by gcc and gnu-efi whatever CC is. The ELF file inside starts at its UEFI entry.
EFI_OBJ     := build/obj-efi
EFI_HEADERS := -DGNU_EFI_USE_MS_ABI -isystem /usr/include/efi -isystem /usr/include/efi/x86_64
EFI_OBJECTS := $(patsubst %,$(EFI_OBJ)/%.o,$(wildcard boot/efi/*.c) lib/fmt.c lib/string.c)
EFI_CFLAGS  := $(filter-out -fno-pie,$(FREESTANDING)) -fpic -fshort-wchar -fvisibility=hidden \
               $(EFI_HEADERS) \
               $(filter-out -fanalyzer -Wduplicated-cond -Wlogical-op,$(WARNINGS))

$(EFI_OBJ)/%.c.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	$(Q)gcc $(EFI_CFLAGS) -MMD -MP -c $< -o $@

$(OUT)/payload.elf: $(OUT)/bulkhead.elf
	$(Q)$(OBJCOPY) --strip-all --set-start=0x$$(nm $< | sed -n 's/ T efi64_entry$$//p') $< $@

$(OUT)/payload.o: boot/efi/payload.S $(OUT)/payload.elf
	$(Q)gcc -DPAYLOAD='"$(OUT)/payload.elf"' -c $< -o $@

$(OUT)/BOOTX64.EFI: $(EFI_OBJECTS) $(OUT)/payload.o
	@echo "  efi   $@"
	$(Q)$(LD) -nostdlib -shared -Bsymbolic --no-undefined --build-id=none -z nocombreloc \
	  -T /usr/lib/elf_x86_64_efi.lds -o $(OUT)/loader.so /usr/lib/crt0-efi-x86_64.o $^ /usr/lib/libgnuefi.a
	$(Q)$(OBJCOPY) -j .text -j .data -j .dynamic -j .rela -j .reloc \
	  --strip-all --output-target=efi-app-x86_64 $(OUT)/loader.so $@

sign: $(OUT)/BOOTX64.EFI ## BOOTX64.signed.EFI for Secure Boot, with KEY=file.key CERT=file.crt
	$(Q)test -f "$(KEY)" -a -f "$(CERT)" || { echo "make sign KEY=FILE.key CERT=FILE.crt (PEM): no such files"; exit 1; }
	$(Q)sbsign --key $(KEY) --cert $(CERT) --output $(OUT)/BOOTX64.signed.EFI $<

-include $(OBJECTS:.o=.d) $(EFI_OBJECTS:.o=.d) $(OUT)/config.o.d

# --- guests --------------------------------------------------------------------------------------

GUEST_LIB      := $(addprefix $(GUESTS)/,start.S.o smp.S.o lib.c.o smp.c.o)
GUEST_CFLAGS   := $(FREESTANDING) $(filter-out -fanalyzer,$(WARNINGS))

$(GUESTS)/%.o: tests/guest/% | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(GUESTS)/%.elf: $(GUESTS)/%.c.o $(GUEST_LIB) tests/guest/guest.ld
	$(Q)$(LD) -nostdlib -static --fatal-warnings --build-id=none -T tests/guest/guest.ld -o $@ $(filter %.o,$^)

$(GUESTS)/selftest.elf: $(GUESTS)/selftest_cpu.c.o

# The benchmarks also run on a bare machine: GRUB enters them by a Multiboot header.
$(GUESTS)/bench.elf: $(addprefix $(GUESTS)/,$(addsuffix .o,bench_print.c bench_insn.c bench_irq.c bench_memory.c bench_timer.c \
                       bench_smp.c bench_entry.S devtest/multiboot.S))

# The device test: loaded as a guest, and by GRUB or QEMU on a bare machine.
DEVTEST := $(patsubst tests/guests/%,$(GUESTS)/devtest/%.o,$(sort $(wildcard tests/guests/*.[cS])))

$(GUESTS)/devtest/%.o: tests/guests/% | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(GUEST_CFLAGS) -MMD -MP -c $< -o $@

$(GUESTS)/devtest.elf: $(GUEST_LIB) $(DEVTEST) tests/guest/guest.ld
	$(Q)$(LD) -nostdlib -static --fatal-warnings --build-id=none -T tests/guest/guest.ld -o $@ $(filter %.o,$^)

# A kernel for each version of Multiboot: one program with two headers. The first one is an ELF32 file.
$(GUESTS)/multiboot%.elf: $(GUEST_LIB) $(GUESTS)/multiboot.c.o $(GUESTS)/multiboot.S.o $(GUESTS)/multiboot%.S.o tests/guest/guest.ld
	$(Q)$(LD) -nostdlib -static --fatal-warnings --build-id=none -e multiboot_entry -T tests/guest/guest.ld -o $@ $(filter %.o,$^)
	$(Q)$(if $(filter 1,$*),$(OBJCOPY) --strip-debug -O elf32-i386 $@)

# Bulkhead as a guest of Bulkhead: another config's image.
$(GUESTS)/bulkhead.elf: $(OBJECTS) $(GUESTS)/exitcode.bin tests/config/exitcode.yaml
	$(Q)$(MAKE) --no-print-directory CONFIG=tests/config/exitcode.yaml build/exitcode/bulkhead.elf
	$(Q)$(OBJCOPY) --strip-all build/exitcode/bulkhead.elf $@

# A guest program on the bare machine.
build/%/bare.iso: $(GUESTS)/%.bin scripts/mkiso
	@mkdir -p $(@D)
	$(Q)GRUB_FIRST="$$(printf 'multiboot /boot/bulkhead.elf\nboot')" GRUB_MODULES=multiboot scripts/mkiso $< $@

$(GUESTS)/%.bin: $(GUESTS)/%.elf
	$(Q)$(OBJCOPY) -O binary $< $@

# The same program as the contents of a ROM.
$(GUESTS)/%.rom: tests/guest/rom.S $(GUESTS)/%.bin
	$(Q)$(CC) $(FREESTANDING) -DPAYLOAD='"$(GUESTS)/$*.bin"' -c $< -o $@.o
	$(Q)$(LD) -nostdlib -static --fatal-warnings --build-id=none -e 0xfffffff0 -Ttext=0xfffc0000 -o $@.elf $@.o
	$(Q)$(OBJCOPY) -O binary -j .text $@.elf $@

build/initramfs.cpio.gz: scripts/mkinitramfs | $(SETUP)
	@mkdir -p $(@D)
	$(Q)scripts/mkinitramfs $@

# An image that is too large for what El Torito can count: the same, and zeros behind it.
build/large.cpio.gz: build/initramfs.cpio.gz
	$(Q)cp $< $@ && truncate -s 48M $@

# Debian's PREEMPT_RT kernel: some configs only, so it is fetched when one of them is built.
$(DEPS)/vmlinuz-rt: | $(SETUP)
	@echo "  fetch $@"
	$(Q)scripts/fetch linux-image-rt-amd64 './boot/vmlinuz-*' $@ >/dev/null

# GRUB as a guest: a floppy for SeaBIOS, an EFI program with a Linux inside for OVMF.
build/grub.img: scripts/mkgrub | $(SETUP)
	@mkdir -p $(@D)
	$(Q)scripts/mkgrub floppy $@

build/grub.efi: build/initramfs.cpio.gz scripts/mkgrub | $(SETUP)
	$(Q)scripts/mkgrub efi $(DEPS)/vmlinuz $< $@

# What the boot of Linux is measured with (docs/NUMBERS.md): a kernel and a program that note the
# time, and the same without Bulkhead.
build/vmlinuz.timed: scripts/time_kernel | $(SETUP)
	@mkdir -p $(@D)
	$(Q)scripts/time_kernel $(DEPS)/vmlinuz $@

$(GUESTS)/linux_tsc: tests/guest/linux_tsc.c | $(SETUP)
	@mkdir -p $(@D)
	$(Q)$(CC) -O2 -ffreestanding -fno-tree-loop-distribute-patterns -Wall -Wextra -Werror -static -nostdlib -fno-stack-protector -I. -Wl,--build-id=none -o $@ $<

build/initramfs.timed.cpio.gz: $(GUESTS)/linux_tsc scripts/mkinitramfs
	$(Q)scripts/mkinitramfs $@ $<

# The same, after some work (tests/guest/linux_loops).
build/initramfs.loops.cpio.gz: tests/guest/linux_loops $(GUESTS)/linux_tsc scripts/mkinitramfs
	$(Q)scripts/mkinitramfs $@ $(filter-out scripts/%,$^)

build/bare/bulkhead.iso: build/initramfs.timed.cpio.gz
build/bare-loops/bulkhead.iso: build/initramfs.loops.cpio.gz
build/bare/bulkhead.iso build/bare-loops/bulkhead.iso: build/vmlinuz.timed scripts/mkiso
	@mkdir -p $(@D)
	@echo "  iso   $@"
	$(Q)LINUX_CMDLINE="console=ttyS0 quiet clearcpuid=rep_good,erms" scripts/mkiso --linux build/vmlinuz.timed $(filter %.cpio.gz,$^) $@

# Guests under Linux's KVM, the peer to measure with: build/kvm-NAME has the flat guest
# tests/guest/NAME.c, or, if there is none, a Linux with build/initramfs.NAME.cpio.gz.
VMM_SOURCES := tests/kvm/vmm.c $(addprefix devices/,ns16550.c mc146818.c acpi_pm.c pci_host.c) \
               guest/acpi_tables.c guest/load_linux.c
VMM_OBJECTS := $(patsubst %.c,build/obj-vmm/%.o,$(VMM_SOURCES))
KVM_MODULES := $(addprefix $(DEPS)/kvm/,irqbypass.ko kvm.ko kvm-intel.ko)
KVM_PARTS   := build/obj-vmm/vmm $(KVM_MODULES) tests/kvm/start scripts/mkinitramfs
MAKE_KVM     = scripts/mkinitramfs $@ tests/kvm/start -- build/obj-vmm/vmm $(KVM_MODULES)

# Set-up fetches them with the kernel; what else needs that does without them.
$(KVM_MODULES): | $(SETUP)
	$(Q)test -f $@ || { echo "error: $@ is missing, a module of the kernel $(DEPS)/vmlinuz, for KVM. To do: put it there, decompressed," \
	    "or remove $(DEPS)/vmlinuz and run scripts/setup, which fetches both" >&2; exit 1; }

build/obj-vmm/%.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	$(Q)gcc -std=gnu11 -O2 -I. -Wall -Wextra -Werror -MMD -MP -c $< -o $@

build/obj-vmm/vmm: $(VMM_OBJECTS) $(OBJ)/guest/dsdt.S.o
	$(Q)gcc -static -o $@ $^

build/kvm-%/initramfs.gz: $(GUESTS)/%.bin $(KVM_PARTS)
	@mkdir -p $(@D)
	$(Q)$(MAKE_KVM) $<

build/kvm-%/initramfs.gz: build/vmlinuz.timed build/initramfs.%.cpio.gz $(KVM_PARTS)
	@mkdir -p $(@D)
	$(Q)$(MAKE_KVM) $(wordlist 1,2,$^)

# The host gets the TSC's frequency told, which the emulator's CPUID does not say truly
# (DEFAULT_IPS of scripts/machine.py), and goes without mitigations: the peer at its best.
build/kvm-%/bulkhead.iso: build/kvm-%/initramfs.gz scripts/mkiso
	@echo "  iso   $@"
	$(Q)LINUX_CMDLINE="console=ttyS0 quiet mitigations=off tsc_early_khz=50000" scripts/mkiso --linux $(DEPS)/vmlinuz $< $@

.PRECIOUS: build/kvm-%/initramfs.gz $(GUESTS)/%.bin
-include $(VMM_OBJECTS:.o=.d)

.PRECIOUS: $(GUESTS)/%.o $(GUESTS)/%.elf $(GUESTS)/multiboot%.elf
-include $(wildcard $(GUESTS)/*.d $(GUESTS)/devtest/*.d)

# --- running and testing -------------------------------------------------------------------------

run: $(OUT)/bulkhead.iso ## boot CONFIG in Bochs under UEFI, with the terminal as its console
	$(Q)scripts/run --config $(CONFIG_FILE)

run-kvm: $(OUT)/bulkhead.iso ## the same in QEMU with KVM, where that offers VMX; says what to enable
	$(Q)scripts/run_kvm --config $(CONFIG_FILE)

usb: $(OUT)/bulkhead.iso ## write the ISO to a stick: make usb DEV=/dev/sdX; shows it, asks, verifies
	$(Q)scripts/usb --image $< $(if $(YES),--yes $(YES)) $(DEV)

UNIT_TESTS := $(patsubst tests/unit/t_%.c,$(UNIT)/t_%,$(wildcard tests/unit/t_*.c))

# Compiled once for all tests, each with its own dependencies; with the tests' clock.
$(UNIT)/obj/%.o: %.c | $(SETUP)
	@mkdir -p $(@D)
	$(Q)gcc -Itests/fake/clock $(HOST_CFLAGS) -MMD -MP -c $< -o $@

$(UNIT)/obj/boot/efi/%.o $(UNIT)/obj/tests/unit/t_efi.o: HOST_CFLAGS += $(EFI_HEADERS)

# The first lines of a test name the product sources it links: "unit: path/one.c path/two.c".
unit_objects = $(patsubst %.c,$(UNIT)/obj/%.o,tests/unit/t_$1.c $(shell scripts/unit_sources tests/unit/t_$1.c))

.SECONDEXPANSION:
$(UNIT)/t_%: $$(call unit_objects,$$*) tests/unit/t_%.c
	$(Q)gcc $(HOST_CFLAGS) -o $@ $(filter %.o,$^) -lcmocka

.PRECIOUS: $(UNIT)/obj/%.o
-include $(shell find $(UNIT)/obj -name '*.d' 2>/dev/null)

unit: $(UNIT_TESTS) ## host unit tests
	$(Q)scripts/run_unit $(UNIT_TESTS)

# Without sanitizers, whose own branches would be counted. What other modules' tests reach in a device
# does not count either: only tests whose first source is a device or the decoder are run.
COVERED_TESTS := $(patsubst tests/unit/t_%.c,build/coverage/t_%,\
                   $(shell grep -lE '^/\* unit: (devices/|arch/x86/insn)' tests/unit/t_*.c))

coverage: $(SETUP) ## lines and branches of devices and decoder that their unit tests run
	$(Q)$(MAKE) -s --no-print-directory UNIT=build/coverage HOST_CFLAGS="-std=gnu11 -O0 -g -w --coverage -I." $(COVERED_TESTS)
	$(Q)scripts/coverage build/coverage $(COVERED_TESTS)

proof: $(SETUP) ## what tests/proof says of the devices, proven by CBMC (fetched the first time)
	$(Q)scripts/proof

# A fuzzer's second line says what it links and how long its inputs get: "fuzz: SOURCES; LIBRARIES; BYTES".
# With a fixed seed a run repeats.
FUZZERS := $(patsubst tests/fuzz/f_%.c,build/fuzz/f_%,$(wildcard tests/fuzz/f_*.c))
FUZZ_SECONDS ?= 120
# The short run of a slow one; 200000 otherwise.
RUNS_f_acpi := 50000
fuzz_says = $(shell sed -n 's,^/. fuzz: \(.*\); \(.*\); \(.*\) .*/$$,\$2,p' tests/fuzz/f_$1.c)
fuzz_run = $1 -max_len=$(call fuzz_says,$(patsubst build/fuzz/f_%,%,$1),3) -artifact_prefix=build/fuzz/

build/fuzz/f_%: tests/fuzz/f_%.c $$(call fuzz_says,$$*,1) $(wildcard arch/x86/*.h lib/*.h tests/fuzz/*.h) | $(SETUP)
	@mkdir -p $(@D)
	$(Q)clang -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -o $@ \
	  $< $(call fuzz_says,$*,1) $(call fuzz_says,$*,2)

fuzz: $(FUZZERS) ## fuzz for FUZZ_SECONDS (default 120) each; an input that fails is left in build/fuzz
	$(Q)$(foreach f,$^,mkdir -p $f.corpus && $(call fuzz_run,$f) -max_total_time=$(FUZZ_SECONDS) $f.corpus &&) \
	  $(PYTHON) tests/fuzz/f_config.py --seconds $(FUZZ_SECONDS)

fuzz-short: $(FUZZERS)
	$(Q)$(foreach f,$^,{ $(call fuzz_run,$f) -runs=$(or $(RUNS_$(notdir $f)),200000) -seed=1 >$f.log 2>&1 || { cat $f.log; exit 1; }; } &&) \
	  $(PYTHON) tests/fuzz/f_config.py --runs 300 --seed 1 && echo "fuzz: $(words $^ config) passed, 0 failed"

docs/CONFIG.md: $(CONFIG_COMPILER) config/demo.yaml ## the manual of configs, from schema and rules
	$(Q)$(PYTHON) scripts/config --document > $@

config-probe: ## a config to start from, for the Linux machine that this runs on
	@scripts/config_probe

lint: $(OBJECTS) ## layering, writable state, instructions, stand-alone headers
	$(Q)$(PYTHON) scripts/check_layers.py $(OBJ)
	$(Q)scripts/check_headers $(CC)

check: lint unit fuzz-short ## the inner loop: lint, unit tests and a little fuzzing, under a minute

clang: $(SETUP) ## build with clang too: no warnings allowed there either
	$(Q)$(MAKE) --no-print-directory CC=clang build/obj-clang/all

build/obj-clang/all: $(addprefix build/obj-clang/,$(addsuffix .o,$(SOURCES)))
	@touch $@

test: $(SETUP) ## everything: check, both compilers, and boots on the emulated machine
	$(Q)scripts/test

# Both images of the device test, in two runs of make: each includes its own config's list of images.
devtest: $(SETUP) ## the device test on bare Bochs, on bare QEMU and as a guest, compared
	$(Q)$(MAKE) --no-print-directory CONFIG=tests/config/devtest.yaml iso build/devtest/bare.iso
	$(Q)scripts/devtest

bench: $(SETUP) ## what exits cost, beside KVM on the same machine; writes docs/NUMBERS.md; many minutes
	$(Q)scripts/bench

scale: $(SETUP) ## what cores and guests cost on 1 to 16 cores, against formulas; writes docs/SCALE.md; some minutes
	$(Q)scripts/scale

cpus: $(SETUP) ## boot on every CPU model of the emulators, and write docs/CPUS.md; some minutes
	$(Q)$(MAKE) --no-print-directory CONFIG=tests/config/cpus.yaml iso
	$(Q)scripts/cpus

gallery: $(SETUP) ## guests nobody here wrote, from Debian's packages; fetches some 700 MB once
	$(Q)scripts/gallery

help: ## this list
	@echo "make [CONFIG=NAME|path.yaml] [CC=gcc|clang]"
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

clean: ## remove what was built
	rm -rf build

clean-all: clean ## remove also what set-up fetched
	rm -rf $(DEPS)
