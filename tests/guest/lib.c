/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run-time of the bare-metal guest programs; see lib.h.
 * Sources: SDM 3A "Interrupt and Exception Handling", "Advanced Programmable Interrupt Controller
 * (APIC)"; Intel 8259A, 82C54 and 82093AA data sheets; NS16550A data sheet; MC146818A data sheet.
 */
#include "tests/guest/lib.h"

#include <stdarg.h>

#include "lib/string.h"

#define POLL_LIMIT    100000u /* polls before a chip is taken for dead */

#define RTC_SECONDS   0x00u
#define RTC_MINUTES   0x02u
#define RTC_HOURS     0x04u
#define RTC_A         0x0au
#define RTC_B         0x0bu
#define RTC_A_UIP     0x80u /* [7] update in progress */
#define RTC_B_BINARY  0x04u /* [2] data mode */

#define IDT_INTERRUPT 0x8e00u /* present, DPL 0, 64-bit interrupt gate */
#define SEL_CODE      0x0008u

struct idt_gate {
    uint16_t offset_low;
    uint16_t selector;
    uint16_t type;
    uint16_t offset_mid;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct idt_gate) == 16, "SDM: 16 bytes per gate");

struct PACKED idt_pointer {
    uint16_t limit;
    uint64_t base;
};

/* What trap_common in start.S pushes, and the CPU before it. */
struct trap_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct trap_frame) == 22 * 8, "the pushes of trap_common");

struct fixup {
    uint64_t faulting;
    uint64_t resume;
};

/* Placed by guest.ld and start.S. */
extern const struct fixup fixup_start[], fixup_end[];
extern const uint8_t trap_stubs[256][16];
void trap_dispatch(struct trap_frame *frame);

/* The library's state. Handlers write it while the program reads. */
static struct {
    struct idt_gate idt[256];
    struct cpu {
        unsigned index;
        volatile uint32_t irq_count[256];
        volatile uint64_t irq_tsc[256];
        struct trap trap;
        bool x2apic;
    } cpu[CPUS_MAX];
    bool hold_eoi;
} guest;

unsigned cpu_index(void)
{
    unsigned index;

    __asm__ volatile("movl %%gs:0, %0" : "=r"(index));
    return index;
}

static struct cpu *this_cpu(void)
{
    return &guest.cpu[cpu_index()];
}

/* --- what compilers call --- */

void *memset(void *dst, int byte, size_t len)
{
    void *to = dst;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(byte) : "memory");
    return dst;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t len)
{
    void *to = dst;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(src), "+c"(len) : : "memory");
    return dst;
}

/* --- console --- */

void con_setup(void)
{
    outb(PORT_UART + UART_IER, 0);
    outb(PORT_UART + UART_LCR, 0x80); /* DLAB */
    outb(PORT_UART + UART_DATA, 1);   /* 115200 */
    outb(PORT_UART + UART_IER, 0);
    outb(PORT_UART + UART_LCR, 0x03); /* 8N1 */
    outb(PORT_UART + UART_FCR, 0x07); /* FIFOs on and empty */
    outb(PORT_UART + UART_MCR, MCR_NORMAL);
}

static void uart_wait(uint8_t lsr)
{
    for (unsigned polls = 0; polls < POLL_LIMIT; polls++) {
        if ((inb(PORT_UART + UART_LSR) & lsr) == lsr)
            return;
    }
}

static void con_put(char c)
{
    uart_wait(LSR_THRE);
    outb(PORT_UART + UART_DATA, (uint8_t)c);
}

static void con_put_char(char c)
{
    if (c == '\n')
        con_put('\r');
    con_put(c);
}

static void con_put_number(uint64_t value, unsigned base, unsigned width, char pad)
{
    char digits[20];
    unsigned len = 0;

    do {
        digits[len++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    for (unsigned i = len; i < width; i++)
        con_put(pad);
    while (len > 0)
        con_put(digits[--len]);
}

struct format {
    char pad;
    unsigned width;
    bool is_long;
    char conversion;
};

/* Parse what follows a %; returns the character after the conversion. */
static const char *format_parse(const char *s, struct format *f)
{
    *f = (struct format){.pad = ' '};
    if (*s == '0')
        f->pad = *s++;
    while (*s >= '0' && *s <= '9')
        f->width = f->width * 10 + (unsigned)(*s++ - '0');
    if (*s == 'l') {
        f->is_long = true;
        s++;
    }
    f->conversion = *s;
    return *s == '\0' ? s : s + 1;
}

static void con_put_signed(int64_t value, const struct format *f)
{
    if (value < 0)
        con_put('-');
    con_put_number(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, f->width, f->pad);
}

static void con_put_string(const char *s)
{
    while (*s != '\0')
        con_put_char(*s++);
}

static void con_vprintf(const char *fmt, va_list args)
{
    while (*fmt != '\0') {
        struct format f;

        if (*fmt != '%') {
            con_put_char(*fmt++);
            continue;
        }
        fmt = format_parse(fmt + 1, &f);
        if (f.conversion == 's')
            con_put_string(va_arg(args, const char *));
        else if (f.conversion == 'c')
            con_put_char((char)va_arg(args, int));
        else if (f.conversion == 'd')
            con_put_signed(f.is_long ? va_arg(args, int64_t) : va_arg(args, int), &f);
        else if (f.conversion == 'u' || f.conversion == 'x')
            con_put_number(f.is_long ? va_arg(args, uint64_t) : va_arg(args, unsigned),
                           f.conversion == 'u' ? 10 : 16, f.width, f.pad);
        else
            con_put_char('%');
    }
}

void con_printf(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    con_vprintf(fmt, args);
    va_end(args);
}

void con_flush(void)
{
    uart_wait(LSR_TEMT);
}

NORETURN void power_off(void)
{
    con_flush();
    outw(PORT_PM1_CNT, PM1_CNT_S5);
    for (;;)
        __asm__ volatile("cli\n\thlt" : : : "memory");
}

/* --- traps --- */

void trap_set_entry(unsigned vector, const void *entry)
{
    uint64_t offset = (uint64_t)entry;

    guest.idt[vector & 0xff] = (struct idt_gate){
        .offset_low = (uint16_t)offset,
        .selector = SEL_CODE,
        .type = IDT_INTERRUPT,
        .offset_mid = (uint16_t)(offset >> 16),
        .offset_high = (uint32_t)(offset >> 32),
    };
}

void trap_setup(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        trap_set_entry(vector, trap_stubs[vector]);
    cpu_setup(0);
}

void cpu_setup(unsigned cpu)
{
    struct idt_pointer pointer = {.limit = sizeof(guest.idt) - 1, .base = (uint64_t)guest.idt};
    struct cpu *c = &guest.cpu[cpu];

    c->index = cpu;
    c->x2apic = (rdmsr(MSR_APIC_BASE) & APIC_BASE_EXTD) != 0;
    wrmsr(MSR_GS_BASE, (uint64_t)c);
    trap_clear();
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void trap_clear(void)
{
    this_cpu()->trap = (struct trap){.vector = TRAP_NONE};
}

struct trap trap_last(void)
{
    return this_cpu()->trap;
}

NORETURN static void trap_die(const struct trap_frame *frame, uint64_t cr2)
{
    con_printf("\nexception %lu error %lx rip %lx rsp %lx rflags %lx cr2 %lx\n", frame->vector,
               frame->error, frame->rip, frame->rsp, frame->rflags, cr2);
    con_printf("rax %lx rbx %lx rcx %lx rdx %lx rsi %lx rdi %lx rbp %lx\n", frame->rax, frame->rbx,
               frame->rcx, frame->rdx, frame->rsi, frame->rdi, frame->rbp);
    power_off();
}

static void exception_handle(struct trap_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    for (const struct fixup *f = fixup_start; f < fixup_end; f++) {
        if (f->faulting == frame->rip) {
            this_cpu()->trap = (struct trap){(unsigned)frame->vector, frame->error, cr2, frame->rip};
            frame->rip = f->resume;
            frame->rflags &= ~BIT(8); /* TF */
            return;
        }
    }
    trap_die(frame, cr2);
}

/* A spurious IRQ7 or IRQ15 has no in-service bit and gets no EOI of its own. */
static bool pic_in_service_7(unsigned cmd_port)
{
    outb(cmd_port, 0x0b); /* OCW3: read ISR */
    return (inb(cmd_port) & 0x80) != 0;
}

static void pic_eoi(unsigned vector)
{
    if (vector >= VECTOR_PIC2) {
        if (vector != VECTOR_PIC2 + 7 || pic_in_service_7(PORT_PIC2_CMD))
            outb(PORT_PIC2_CMD, 0x20);
        outb(PORT_PIC1_CMD, 0x20);
    } else if (vector != VECTOR_PIC1 + 7 || pic_in_service_7(PORT_PIC1_CMD)) {
        outb(PORT_PIC1_CMD, 0x20);
    }
}

__attribute__((weak)) bool irq_hook(unsigned vector)
{
    (void)vector;
    return false;
}

void trap_dispatch(struct trap_frame *frame)
{
    uint64_t now = rdtsc();
    unsigned vector = (unsigned)frame->vector;

    if (vector < VECTOR_PIC1 && vector != VECTOR_NMI && !guest.hold_eoi) {
        exception_handle(frame);
        return;
    }
    this_cpu()->irq_tsc[vector] = now;
    this_cpu()->irq_count[vector]++;
    if (guest.hold_eoi) {
        frame->rflags &= ~BIT(9); /* IF: one interrupt at a time */
        return;
    }
    if (irq_hook(vector))
        return;
    if (vector >= VECTOR_APIC && vector != VECTOR_SPURIOUS)
        lapic_write(LAPIC_EOI, 0);
    else if (vector >= VECTOR_PIC1 && vector < VECTOR_APIC)
        pic_eoi(vector);
}

bool rdmsr_try(uint32_t msr, uint64_t *value)
{
    uint32_t low = 0, high = 0;

    trap_clear();
    __asm__ volatile(FAULTS("rdmsr") : "+a"(low), "+d"(high) : "c"(msr) : "memory");
    if (this_cpu()->trap.vector != TRAP_NONE)
        return false;
    *value = (uint64_t)high << 32 | low;
    return true;
}

bool wrmsr_try(uint32_t msr, uint64_t value)
{
    trap_clear();
    __asm__ volatile(FAULTS("wrmsr")
                     :
                     : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
                     : "memory");
    return this_cpu()->trap.vector == TRAP_NONE;
}

void irq_hold_eoi(bool hold)
{
    guest.hold_eoi = hold;
}

void irq_count_clear(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        this_cpu()->irq_count[vector] = 0;
}

void irq_count_clear_all(void)
{
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        for (unsigned vector = 0; vector < 256; vector++)
            guest.cpu[i].irq_count[vector] = 0;
    }
}

uint32_t irq_count(unsigned vector)
{
    return this_cpu()->irq_count[vector & 0xff];
}

uint32_t irq_count_of(unsigned cpu, unsigned vector)
{
    return guest.cpu[cpu].irq_count[vector & 0xff];
}

uint64_t irq_tsc(unsigned vector)
{
    return this_cpu()->irq_tsc[vector & 0xff];
}

bool irq_wait(unsigned vector, uint32_t count, uint64_t ticks)
{
    uint64_t start = rdtsc();

    irq_enable();
    while (irq_count(vector) < count && rdtsc() - start < ticks)
        __asm__ volatile("pause");
    irq_disable();
    return irq_count(vector) >= count;
}

/* --- chips --- */

void pic_setup(uint8_t mask1, uint8_t mask2)
{
    outb(PORT_PIC1_DATA, 0xff);
    outb(PORT_PIC2_DATA, 0xff);
    outb(PORT_PIC1_CMD, 0x11); /* ICW1: edge, cascade, ICW4 follows */
    outb(PORT_PIC1_DATA, VECTOR_PIC1);
    outb(PORT_PIC1_DATA, 0x04); /* ICW3: slave on IRQ2 */
    outb(PORT_PIC1_DATA, 0x01); /* ICW4: 8086 mode, normal EOI */
    outb(PORT_PIC2_CMD, 0x11);
    outb(PORT_PIC2_DATA, VECTOR_PIC2);
    outb(PORT_PIC2_DATA, 0x02);
    outb(PORT_PIC2_DATA, 0x01);
    outb(PORT_PIC1_DATA, mask1);
    outb(PORT_PIC2_DATA, mask2);
}

void pit_start(uint16_t reload)
{
    outb(PORT_PIT_MODE, 0x34); /* channel 0, low then high byte, mode 2, binary */
    outb(PORT_PIT_CH0, (uint8_t)reload);
    outb(PORT_PIT_CH0, (uint8_t)(reload >> 8));
}

void pit_stop(void)
{
    outb(PORT_PIT_MODE, 0x30); /* channel 0, low then high byte, mode 0, binary */
}

uint64_t tsc_hz_pit(void)
{
    const uint64_t count = PIT_HZ / 20;
    const uint64_t limit = BIT(30); /* longer than 50 ms of any TSC */
    uint64_t start, end;

    outb(PORT_SYSTEM_B, (uint8_t)((inb(PORT_SYSTEM_B) & 0xfc) | 0x01)); /* gate on, speaker off */
    outb(PORT_PIT_MODE, 0xb0); /* channel 2, low then high byte, mode 0, binary */
    outb(PORT_PIT_CH2, (uint8_t)count);
    outb(PORT_PIT_CH2, (uint8_t)(count >> 8));
    start = rdtsc();
    do
        end = rdtsc();
    while ((inb(PORT_SYSTEM_B) & 0x20) == 0 && end - start < limit);
    return end - start < limit ? (end - start) * PIT_HZ / count : 0;
}

uint64_t tsc_hz_cpuid(void)
{
    struct cpuid_regs r;

    if (cpuid(0, 0).eax < 0x15)
        return 0;
    r = cpuid(0x15, 0);
    return r.eax != 0 ? (uint64_t)r.ecx * r.ebx / r.eax : 0;
}

void tsc_delay(uint64_t ticks)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < ticks)
        __asm__ volatile("pause");
}

uint32_t random_next(void)
{
    static uint32_t state = 1;

    state ^= state << 13; /* xorshift32 */
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

bool within_percent(uint64_t a, uint64_t b)
{
    return (a < b ? b - a : a - b) <= b / 100;
}

uint8_t rtc_read(uint8_t index)
{
    outb(PORT_RTC_INDEX, index & 0x7f);
    return inb(PORT_RTC_DATA);
}

static unsigned rtc_number(uint8_t index, bool binary)
{
    unsigned value = rtc_read(index);

    return binary ? value : (value >> 4) * 10 + (value & 0x0f);
}

struct rtc_time rtc_read_time(void)
{
    bool binary = (rtc_read(RTC_B) & RTC_B_BINARY) != 0;
    struct rtc_time t;

    for (unsigned polls = 0; polls < POLL_LIMIT && (rtc_read(RTC_A) & RTC_A_UIP) != 0; polls++)
        ;
    t.hours = rtc_number(RTC_HOURS, binary);
    t.minutes = rtc_number(RTC_MINUTES, binary);
    t.seconds = rtc_number(RTC_SECONDS, binary);
    return t;
}

uint32_t lapic_read(unsigned offset)
{
    if (this_cpu()->x2apic)
        return (uint32_t)rdmsr(MSR_X2APIC + (offset >> 4));
    return mmio_read(LAPIC_BASE + offset);
}

void lapic_write(unsigned offset, uint32_t value)
{
    if (this_cpu()->x2apic)
        wrmsr(MSR_X2APIC + (offset >> 4), value);
    else
        mmio_write(LAPIC_BASE + offset, value);
}

void lapic_enable(void)
{
    lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    lapic_write(LAPIC_TPR, 0);
}

void lapic_enable_virtual_wire(void)
{
    lapic_enable();
    lapic_write(LAPIC_LVT_LINT0, DELIVERY_EXTINT);
}

bool lapic_enable_x2apic(void)
{
    this_cpu()->x2apic = wrmsr_try(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EXTD);
    return this_cpu()->x2apic;
}

void lapic_disable(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) & ~(APIC_BASE_EN | APIC_BASE_EXTD));
    this_cpu()->x2apic = false;
}

void lapic_enable_xapic(void)
{
    wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | APIC_BASE_EN);
}

void ipi_send(uint32_t low, uint32_t dest)
{
    __asm__ volatile("mfence\n\tlfence" : : : "memory");
    if (this_cpu()->x2apic) {
        wrmsr(MSR_X2APIC + (LAPIC_ICR_LOW >> 4), (uint64_t)dest << 32 | low);
        return;
    }
    lapic_write(LAPIC_ICR_HIGH, dest << 24);
    lapic_write(LAPIC_ICR_LOW, low);
}

uint32_t ioapic_read(uint8_t index)
{
    mmio_write(IOAPIC_BASE, index);
    return mmio_read(IOAPIC_BASE + IOAPIC_IOWIN);
}

void ioapic_write(uint8_t index, uint32_t value)
{
    mmio_write(IOAPIC_BASE, index);
    mmio_write(IOAPIC_BASE + IOAPIC_IOWIN, value);
}
