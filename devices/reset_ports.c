/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports that reset a PC. Sources: see the header. */
#include "devices/reset_ports.h"

/* Reset control register, CF9H */
#define RC_RST_CPU                                                                                 \
    0x04u /* [2] resets when written 1; reads 0 here, as the reset follows at once                 \
           */
#define RC_STORED         0x0au /* [3] full reset, [1] hard instead of soft */

/* System control port A, 92H */
#define CONTROL_A_RESET   0x01u /* [0] */
#define CONTROL_A_A20     0x02u /* [1] */
#define CONTROL_A_STORED  (CONTROL_A_RESET | CONTROL_A_A20)

/* 8042 commands F0H..FFH pulse those output bits [3:0] low whose command bit is 0. */
#define I8042_PULSE       0xf0u
#define I8042_PULSE_KEEPS 0x01u /* bit 0, the reset line, is left alone */

static enum reset_action write_8042_command(uint8_t value)
{
    return (value & (I8042_PULSE | I8042_PULSE_KEEPS)) == I8042_PULSE ? RESET_VM : RESET_NONE;
}

static enum reset_action write_control_a(struct reset_ports *r, uint8_t value)
{
    bool rises = (value & ~r->control_a & CONTROL_A_RESET) != 0;

    r->control_a = value & CONTROL_A_STORED;
    return rises ? RESET_VM : RESET_NONE;
}

static enum reset_action write_rc(struct reset_ports *r, uint8_t value)
{
    r->rc = value & RC_STORED;
    return (value & RC_RST_CPU) != 0 ? RESET_VM : RESET_NONE;
}

void reset_ports_reset(struct reset_ports *r)
{
    *r = (struct reset_ports){.control_a = CONTROL_A_A20};
}

uint8_t reset_ports_read(const struct reset_ports *r, uint16_t port)
{
    switch (port) {
    case RESET_PORT_CONTROL_A: return r->control_a;
    case RESET_PORT_RESET: return r->rc;
    default: return 0xff;
    }
}

enum reset_action reset_ports_write(struct reset_ports *r, uint16_t port, uint8_t value)
{
    switch (port) {
    case RESET_PORT_8042_COMMAND: return write_8042_command(value);
    case RESET_PORT_CONTROL_A: return write_control_a(r, value);
    case RESET_PORT_RESET: return write_rc(r, value);
    default: return RESET_NONE;
    }
}

bool reset_ports_ok(const struct reset_ports *r)
{
    return (r->control_a & ~CONTROL_A_STORED) == 0 && (r->rc & ~RC_STORED) == 0;
}
