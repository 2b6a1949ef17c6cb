/* SPDX-License-Identifier: BSD-2-Clause */
/* Used by scripts/screen_cost: a child draws, its parent counts what it executes in between. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arch/x86/screen.h"

#define LINES 200

static void put(const char *text)
{
    for (; *text != '\0'; text++)
        screen_put((uint8_t)*text, SCREEN_PLAIN);
}

/* Lines that differ as a kernel's do, about 70 characters long. */
static void put_line(unsigned i)
{
    static const char *const words[] = {
        "pci",     "registered", "clocksource", "memory", "0000:00",
        "enabled", "bus",        "initialised", "driver", "as",
        "tsc",     "ACPI:",      "protocol",    "hash",   "entries"};
    char line[160];
    int len = snprintf(line, sizeof(line), "[linux] [    %u.%06u]", i / 90, i * 7919 % 1000000);

    srand(i);
    while (len < 50 + rand() % 50)
        len += snprintf(line + len, sizeof(line) - (size_t)len, " %s", words[rand() % 15]);
    put(line);
    put("\r\n");
}

static void draw(uint32_t width, uint32_t height)
{
    struct screen_mode mode = {
        .width = width,
        .height = height,
        .pitch = width * 4,
        .pixel_len = 4,
        .red = {16, 8},
        .green = {8,  8},
        .blue = {0,  8}
    };

    screen_init(&mode);
    screen_show(calloc(height, width * 4));
    for (unsigned i = 0; i < LINES; i++)
        put_line(i);
    (void)screen_draw(SCREEN_FOREVER);
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    put_line(LINES);
    raise(SIGSTOP);
    (void)screen_draw(SCREEN_FOREVER);
    raise(SIGSTOP);
    put_line(LINES + 1);
    (void)screen_draw(256);
    raise(SIGSTOP);
    (void)screen_draw(256); /* a step amid the work */
    raise(SIGSTOP);
    exit(0);
}

/* Instructions until the child's next SIGSTOP. */
static unsigned long count(pid_t child)
{
    unsigned long n = 0;
    int status;

    for (;; n++) {
        ptrace(PTRACE_SINGLESTEP, child, 0, 0);
        if (waitpid(child, &status, 0) < 0 || WIFEXITED(status))
            exit(1);
        if (WSTOPSIG(status) == SIGSTOP)
            return n;
    }
}

int main(void)
{
    static const uint32_t sizes[][2] = {
        {1024, 768 },
        {1920, 1080},
        {3840, 2160}
    };

    for (unsigned i = 0; i < 3; i++) {
        pid_t child = fork();
        unsigned long text, all, step;

        if (child == 0)
            draw(sizes[i][0], sizes[i][1]);
        waitpid(child, NULL, 0);
        text = count(child);
        all = count(child);
        (void)count(child);
        step = count(child);
        printf("%ux%u: a line into the cells %lu, its scroll drawn %lu, a tick's part %lu\n",
               sizes[i][0], sizes[i][1], text, all, step);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    return 0;
}
