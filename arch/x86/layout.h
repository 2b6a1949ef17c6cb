/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's virtual address space; one table for all cores. See also linker.ld.
 *
 *   what            where                    mapped
 *   image           IMAGE_VA                 text RX, read-only data R, data RW
 *   table pool      POOL_VA                  RW: page tables, EPT, VMCSs, per-core areas
 *   windows         WINDOW_VA + core * ...   RW, whichever 2 MiB blocks that core looks at now
 *   stacks          STACK_VA + core * ...    RW, a hole below each
 *   devices         DEVICE_VA                RW uncached: host local APIC, host IOAPICs
 *   framebuffer     SCREEN_VA                RW write-combining
 *   journal         JOURNAL_VA               RW
 */
#ifndef ARCH_X86_LAYOUT_H
#define ARCH_X86_LAYOUT_H

#define IMAGE_VA         0xffffffff80000000
#define POOL_VA          0xffff800000000000
#define WINDOW_VA        0xffff808000000000
#define STACK_VA         0xffff810000000000
#define DEVICE_VA        0xffff818000000000
#define SCREEN_VA        0xffff820000000000
#define JOURNAL_VA       0xffff828000000000

#define WINDOW_SLOTS     8      /* 2 MiB blocks a core can look at at once */
#define STACK_SIZE       0x4000 /* 16 KiB: the top of a core's share, a hole below */
#define STACK_STRIDE     0x10000

#define EARLY_STACK_SIZE 0x4000

#ifndef __ASSEMBLER__
extern char image_start[], rodata_start[], data_start[], image_end[];
#endif

#endif
