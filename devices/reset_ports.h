/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports that reset a PC: the chip set's reset control register (CF9H), the reset line of an
 * 8042 that is otherwise absent (60H, 64H), and system control port A (92H).
 * Sources: 82371SB (PIIX3) data sheet, "RC: Reset Control Register"; IBM PS/2 Hardware Interface
 * Technical Reference, "Keyboard and auxiliary device controller" and "System control port A".
 */
#ifndef DEVICES_RESET_PORTS_H
#define DEVICES_RESET_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define RESET_PORT_8042_DATA    0x60u
#define RESET_PORT_8042_COMMAND 0x64u
#define RESET_PORT_CONTROL_A    0x92u
#define RESET_PORT_RESET        0xcf9u

struct reset_ports {
    uint8_t control_a; /* 92H [1:0] */
    uint8_t rc;        /* CF9H [1], and [3] of later chip sets */
};

enum reset_action {
    RESET_NONE = 0,
    RESET_VM, /* the guest asked for a reset of its machine */
};

/* Power-on state: A20 not masked. */
void reset_ports_reset(struct reset_ports *r);

/* The guest reads a byte of one of the four ports; other ports, and the 8042's, read FFH. */
uint8_t reset_ports_read(const struct reset_ports *r, uint16_t port);

/*
 * The guest writes a byte to one of the four ports. Reset on: RST_CPU (CF9H bit 2: values 06H, 0EH;
 * a soft reset, 04H, too), 8042 commands that pulse its output bit 0 (FEH), a rising bit 0 of 92H.
 * A20 (92H bit 1) can be read back and does nothing else.
 */
enum reset_action reset_ports_write(struct reset_ports *r, uint16_t port, uint8_t value);

/* The chip's invariant; true after every call above. */
bool reset_ports_ok(const struct reset_ports *r);

#endif
