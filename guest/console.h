/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's one console, shared: whole lines of the guests and of the hypervisor, each marked
 * with its name; one guest has the keyboard. Ctrl-] is the escape key (help: Ctrl-] ?).
 *
 * Guests and hypervisor put bytes into queues; whoever finds the UART idle, or its interrupt,
 * moves them out. A guest's exit never waits for the UART: when its queue is full its own UART
 * stops taking bytes. What goes to the UART goes to the screen's cells too; pixels are drawn on the
 * core that takes the 8254's interrupt, a bounded number each millisecond.
 */
#ifndef GUEST_CONSOLE_H
#define GUEST_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

/*
 * Guests are about to run: from now on their lines are queued, too, and nobody waits for room.
 *   interrupts  the UART's interrupt arrives as host_interrupt(HOST_VECTOR_UART). Without it the
 *               8254 says when to look at the UART, if console_tick() was called before this; if
 *               not, output waits for the UART and there is no keyboard
 */
void console_start(bool interrupts);

/* Whether console_put() can take a byte of this guest. Context: a core of that guest. */
bool console_has_room(struct vm *vm);

/* A byte from a guest's UART; console_has_room() said yes. */
void console_put(struct vm *vm, uint8_t byte);

/* The UART's interrupt: keys to the guest that has the keyboard, waiting output to the UART. */
void console_interrupt(void);

/*
 * The 8254's interrupt: draws a part of what is to be drawn, and looks after a UART without an
 * interrupt. Called before console_start() it says that such interrupts arrive. Context: one core.
 */
void console_tick(void);

/* The table dump has lines to show (guest/dump.h). */
void console_wake(void);

/* Log a guest's state and its exits by reason. */
void console_report(struct vm *vm);

/* Wait until everything queued is out: before the machine's power goes. */
void console_flush(void);

#endif
