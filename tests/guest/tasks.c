/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hardware task switches: CALL, JMP, IRET, task gates in GDT and IDT, an error code, a fault in the
 * new task. Runs on any PC, too: the results are the manual's. SDM 3A "Task Management".
 *
 * Task switches do not exist in IA-32e mode: the part in assembly leaves it, notes what it sees, and
 * comes back. Task A is the caller, B goes on wherever it was left.
 */
#include "tests/guest/lib.h"

#define SEEN 16

extern uint32_t tasks_seen[SEEN];
void tasks_run(void);

#define NOTE(n)       "movl %eax, tasks_seen + 4 * " #n "\n\t"

/* What B sees: TR, NT and link, CR0.TS. */
#define NOTE_TASK(n)                                                                               \
    "str %eax\n\tpushf\n\tpop %ecx\n\tand $0x4000, %ecx\n\tor %ecx, %eax\n\t"                      \
    "mov %cr0, %ecx\n\tand $8, %ecx\n\tshl $16, %ecx\n\tor %ecx, %eax\n\t"                         \
    "movzwl tss_b, %ecx\n\tshl $24, %ecx\n\tor %ecx, %eax\n\t" NOTE(n) "clts\n\t"

__asm__(".data\n\t.balign 16\n"
        "tss_a: .skip 104\n\t.balign 16\n"
        "tss_b: .skip 104\n\t.balign 16\n"
        "tss_c: .skip 44\n\t.balign 16\n" /* 16 bits */
        "gdt: .quad 0\n\t"
        ".quad 0x00af9b000000ffff\n\t" /* 08H 64-bit code */
        ".quad 0x00cf93000000ffff\n\t" /* 10H data */
        ".quad 0x00cf9b000000ffff\n\t" /* 18H 32-bit code */
        ".quad 0x0000890000000067\n\t" /* 20H TSS A; bases are filled in */
        ".quad 0x0000890000000067\n\t" /* 28H TSS B */
        ".quad 0x000085000028ffff\n\t" /* 30H task gate to B: selector in [31:16] of the low half */
        ".quad 0x000081000000002b\n"   /* 38H TSS C */
        "gdt_end:\n"
        "gdt_pointer: .word gdt_end - gdt - 1\n\t.quad gdt\n"
        "idt_pointer: .word 8 * 32 - 1\n\t.long idt\n"
        ".balign 8\n"
        "idt: .skip 8 * 32\n"
        "old_gdt: .skip 10\n"
        "old_idt: .skip 10\n\t.balign 8\n"
        "old_rsp: .quad 0\n"
        "to_32: .long in_32\n\t.word 0x18\n\t.balign 8\n"
        "stack_b: .skip 512\n"
        ".globl tasks_seen\n"
        "tasks_seen: .skip 64\n"
        ".text\n");

#define SET_BASE(tss, at)                                                                          \
    "mov $" #tss ", %eax\n\tmovw %ax, gdt + " #at " + 2\n\tshr $16, %eax\n\t"                      \
    "movb %al, gdt + " #at " + 4\n\t"

#define SET_GATE(vector, low, high)                                                                \
    "movl $" low ", idt + 8 * " #vector "\n\tmovl $" high ", idt + 8 * " #vector " + 4\n\t"

__asm__(".globl tasks_run\n"
        "tasks_run:\n\t"
        "push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
        "mov %rsp, old_rsp\n\tsgdt old_gdt\n\tsidt old_idt\n\tlgdt gdt_pointer\n\t"
        "ljmp *to_32\n\t"
        ".code32\n"
        "in_32: mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n\t"
        "mov %cr0, %eax\n\tand $0x7fffffff, %eax\n\tmov %eax, %cr0\n\t" /* no IA-32e mode */
        SET_BASE(tss_a, 0x20) SET_BASE(tss_b, 0x28) SET_BASE(tss_c, 0x38)
        /* #BP and #GP: task B; #TS: handled where it is */
        SET_GATE(3, "0x00280000", "0x00008500") SET_GATE(13, "0x00280000", "0x00008500")
        "mov $bad_tss, %eax\n\tmovw %ax, idt + 80\n\tshr $16, %eax\n\tmovw %ax, idt + 86\n\t"
        "movl $0x8e00, %eax\n\tmovw %ax, idt + 84\n\tmovw $0x18, idt + 82\n\t"
        "lidt idt_pointer\n\t"
        /* B */
        "movl $task_b, tss_b + 0x20\n\tmovl $2, tss_b + 0x24\n\t"
        "movl $stack_b + 512, tss_b + 0x38\n\tmovl $0xb0b, tss_b + 0x40\n\t" /* ESI */
        "movl $0x10, tss_b + 0x48\n\tmovl $0x18, tss_b + 0x4c\n\tmovl $0x10, tss_b + 0x50\n\t"
        "movl $0x10, tss_b + 0x54\n\t"
        "mov $0x20, %eax\n\tltr %ax\n\t"
        "mov $0xa0a, %esi\n\tclts\n\t"
        /* 0: JMP there and back; 1: what A has kept */
        "ljmp $0x28, $0\n\t"
        "mov %esi, %eax\n\t" NOTE(1)
        /* 2: busy bits of A and B after it */
        "movzbl gdt + 0x25, %eax\n\tmovb gdt + 0x2d, %ah\n\t" NOTE(2)
        /* 3: CALL */
        "lcall $0x28, $0\n\t"
        /* 4: CALL through a gate */
        "lcall $0x30, $0\n\t"
        /* 5: INT3 */
        "int3\n\t"
        /* 6: #GP with its error code; B advances A's EIP by 2 */
        "mov $0x104, %eax\n\t"
        "mov %eax, %gs\n\t"
        /* 8: flags of A: NT is clear */
        "pushf\n\tpop %eax\n\tand $0x4000, %eax\n\t" NOTE(8)
        /* 9: error code of #TS by a bad DS in B; B is at `last` then */
        "movl $0x18 | 3, tss_b + 0x54\n\t"
        "lcall $0x28, $0\n\t"
        "str %eax\n\t" NOTE(11)
        /* 12: 16-bit TSS: INC EAX and LJMP back, at 8000H; 13: where it was left */
        "movl $0x0000ea40, 0x8000\n\tmovl $0x00200000, 0x8004\n\t"
        "movw $0x8000, tss_c + 0x0e\n\tmovw $2, tss_c + 0x10\n\tmovw $0x1233, tss_c + 0x12\n\t"
        "movw $0x8000, tss_c + 0x1a\n\tmovw $0x10, tss_c + 0x22\n\tmovw $0x18, tss_c + 0x24\n\t"
        "movw $0x10, tss_c + 0x26\n\tmovw $0x10, tss_c + 0x28\n\t"
        "ljmp $0x38, $0\n\t"
        "movzwl tss_c + 0x12, %eax\n\t" NOTE(12) "movzwl tss_c + 0x0e, %eax\n\t" NOTE(13)
        /* back to IA-32e mode */
        "mov %cr0, %eax\n\tor $0x80000000, %eax\n\tmov %eax, %cr0\n\t"
        "ljmp $0x08, $in_64\n"
        /* B, from one visit to the next */
        "task_b: " NOTE_TASK(0) "ljmp $0x20, $0\n\t"
        NOTE_TASK(3) "iret\n\t" NOTE_TASK(4) "iret\n\t"
        NOTE_TASK(5) "mov %esi, %eax\n\t" NOTE(7) "iret\n\t"
        "pop %eax\n\t" NOTE(6) "addl $2, tss_a + 0x20\n\tiret\n"
        "last: " NOTE_TASK(10) "iret\n"
        "bad_tss: mov $0x10, %eax\n\tmov %eax, %ds\n\tpop %eax\n\t" NOTE(9) "iret\n\t"
        ".code64\n"
        "in_64: mov $0x10, %eax\n\tmov %eax, %ds\n\tmov %eax, %es\n\tmov %eax, %ss\n\t"
        "lgdt old_gdt\n\tlidt old_idt\n\tmov old_rsp, %rsp\n\t"
        "mov %cr0, %rax\n\tand $~8, %rax\n\tmov %rax, %cr0\n\t"
        "pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");

void guest_main(void)
{
    static const struct {
        const char *name;
        uint32_t want;
    } checks[] = {
        {"jmp",                     0x00080028}, /* TR B, no NT, TS */
        {"jmp-keeps-registers",     0x00000a0a},
        {"jmp-busy-bits",           0x0000898b}, /* B available, A busy */
        {"call",                    0x20084028}, /* NT, link A */
        {"call-gate",               0x20084028},
        {"idt-gate",                0x20084028},
        {"idt-gate-error-code",     0x00000104},
        {"registers-of-new-task",   0x00000b0b},
        {"iret-clears-nt",          0x00000000},
        {"ts-error-code",           0x00000018},
        {"ts-in-new-task",          0x20084028},
        {"back-in-old-task",        0x00000020},
        {"jmp-16-bit",              0x00001234},
        {"jmp-16-bit-saves-ip",     0x00008008},
    };
    unsigned passed = 0, failed = 0;

    con_setup();
    tasks_run();
    for (unsigned i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        bool ok = tasks_seen[i] == checks[i].want;

        con_printf(ok ? "ok %s\n" : "FAIL %s: got %x, want %x\n", checks[i].name, tasks_seen[i],
                   checks[i].want);
        passed += ok;
        failed += !ok;
    }
    con_printf("tasks %u passed, %u failed\n", passed, failed);
    power_off();
}
