/* SPDX-License-Identifier: BSD-2-Clause */
/* SDM 3C "Checks on Guest Segment Registers". One line of code is one sentence of the manual. */
#include "arch/x86/regs.h"
#include "arch/x86/vmx/check_rules.h"

/* In the order of the encodings and of enum vmx_check_field. */
enum segment { ES, CS, SS, DS, FS, GS, LDTR, TR };

/* Access rights: "Guest Register State". */
#define AR_TYPE       0x0000000full         /* [3:0] */
#define AR_S          0x00000010ull         /* [4]   code or data */
#define AR_P          0x00000080ull         /* [7]   present */
#define AR_LOW_0      0x00000f00ull         /* [11:8] reserved */
#define AR_L          0x00002000ull         /* [13]  64-bit code */
#define AR_DB         0x00004000ull         /* [14]  default operation size */
#define AR_G          0x00008000ull         /* [15]  granularity */
#define AR_UNUSABLE   0x00010000ull         /* [16] */
#define AR_HIGH_0     0xfffffffffffe0000ull /* [31:17] reserved */
#define AR_V8086      0x000000f3ull

#define SELECTOR_TI   0x4ull /* [2] local descriptor table */

#define TYPE_ACCESSED 0x1u
#define TYPE_READABLE 0x2u
#define TYPE_CODE     0x8u

static enum vmx_check_field selector_of(enum segment s)
{
    return (enum vmx_check_field)(VF_ES_SELECTOR + (unsigned)s);
}

static enum vmx_check_field base_of(enum segment s)
{
    return (enum vmx_check_field)(VF_ES_BASE + (unsigned)s);
}

static enum vmx_check_field limit_of(enum segment s)
{
    return (enum vmx_check_field)(VF_ES_LIMIT + (unsigned)s);
}

static enum vmx_check_field access_of(enum segment s)
{
    return (enum vmx_check_field)(VF_ES_ACCESS + (unsigned)s);
}

static bool usable(const struct vmx_checker *k, enum segment s)
{
    return !has(k, access_of(s), AR_UNUSABLE);
}

static unsigned type(const struct vmx_checker *k, enum segment s)
{
    return (unsigned)(get(k, access_of(s)) & AR_TYPE);
}

static unsigned dpl(const struct vmx_checker *k, enum segment s)
{
    return (unsigned)(get(k, access_of(s)) >> 5 & 3);
}

static unsigned rpl(const struct vmx_checker *k, enum segment s)
{
    return (unsigned)(get(k, selector_of(s)) & 3);
}

static void check_selectors(struct vmx_checker *k)
{
    expect_clear(k, VF_TR_SELECTOR, SELECTOR_TI, "TI, bit 2, must be 0");
    if (usable(k, LDTR))
        expect_clear(k, VF_LDTR_SELECTOR, SELECTOR_TI, "TI, bit 2, must be 0");
    expect(k, VF_SS_SELECTOR, k->v8086 || k->unrestricted || rpl(k, SS) == rpl(k, CS),
           "RPL must equal the RPL of CS");
}

static void check_bases(struct vmx_checker *k)
{
    static const enum segment below_4g[] = {SS, DS, ES};

    expect_canonical(k, VF_TR_BASE);
    expect_canonical(k, VF_FS_BASE);
    expect_canonical(k, VF_GS_BASE);
    if (usable(k, LDTR))
        expect_canonical(k, VF_LDTR_BASE);
    expect_clear(k, VF_CS_BASE, bits_from(32), "bits 63:32 must be 0");
    for (unsigned i = 0; i < 3; i++) {
        if (usable(k, below_4g[i]))
            expect_clear(k, base_of(below_4g[i]), bits_from(32), "bits 63:32 must be 0");
    }
}

static void check_v8086(struct vmx_checker *k)
{
    for (unsigned i = ES; i <= GS; i++) {
        enum segment s = (enum segment)i;

        expect(k, base_of(s), get(k, base_of(s)) == get(k, selector_of(s)) << 4,
               "must be the selector * 16 in virtual-8086 mode");
        expect(k, limit_of(s), get(k, limit_of(s)) == 0xffff, "must be FFFFH in virtual-8086 mode");
        expect(k, access_of(s), get(k, access_of(s)) == AR_V8086,
               "must be F3H in virtual-8086 mode");
    }
}

/* The rules for every usable segment, system or not. */
static void check_common(struct vmx_checker *k, enum segment s)
{
    uint64_t limit = get(k, limit_of(s));
    bool granular = has(k, access_of(s), AR_G);

    expect_set(k, access_of(s), AR_P, "P, bit 7, must be 1");
    expect_clear(k, access_of(s), AR_LOW_0, "reserved bits 11:8 must be 0");
    expect(k, access_of(s), !granular || (limit & 0xfff) == 0xfff,
           "G, bit 15, must be 0: one of the limit's bits 11:0 is 0");
    expect(k, access_of(s), granular || (limit & 0xfff00000) == 0,
           "G, bit 15, must be 1: one of the limit's bits 31:20 is 1");
    expect_clear(k, access_of(s), AR_HIGH_0, "reserved bits 31:17 must be 0");
}

static void check_cs(struct vmx_checker *k)
{
    unsigned t = type(k, CS);
    bool code = (t & (TYPE_CODE | TYPE_ACCESSED)) == (TYPE_CODE | TYPE_ACCESSED);

    expect(k, VF_CS_ACCESS, code || (t == 3 && k->unrestricted),
           "the type must be 9, 11, 13 or 15 (or 3 in an unrestricted guest)");
    if (t == 3)
        expect(k, VF_CS_ACCESS, dpl(k, CS) == 0, "DPL must be 0 with type 3");
    if (t == 9 || t == 11)
        expect(k, VF_CS_ACCESS, dpl(k, CS) == dpl(k, SS),
               "DPL must equal that of SS for non-conforming code");
    if (t == 13 || t == 15)
        expect(k, VF_CS_ACCESS, dpl(k, CS) <= dpl(k, SS),
               "DPL must not exceed that of SS for conforming code");
    expect(k, VF_CS_ACCESS,
           !k->ia32e || !has(k, VF_CS_ACCESS, AR_L) || !has(k, VF_CS_ACCESS, AR_DB),
           "D/B, bit 14, must be 0 in 64-bit mode");
}

static void check_ss(struct vmx_checker *k)
{
    if (usable(k, SS))
        expect(k, VF_SS_ACCESS, type(k, SS) == 3 || type(k, SS) == 7, "the type must be 3 or 7");
    if (!k->unrestricted)
        expect(k, VF_SS_ACCESS, dpl(k, SS) == rpl(k, SS), "DPL must equal the selector's RPL");
    expect(k, VF_SS_ACCESS, dpl(k, SS) == 0 || type(k, CS) != 3,
           "DPL must be 0 while the type of CS is 3");
    expect(k, VF_SS_ACCESS, dpl(k, SS) == 0 || has(k, VF_CR0, CR0_PE),
           "DPL must be 0 while CR0.PE is 0");
}

static void check_data(struct vmx_checker *k, enum segment s)
{
    unsigned t = type(k, s);

    if (!usable(k, s))
        return;
    expect(k, access_of(s), (t & TYPE_ACCESSED) != 0, "the type must be accessed, bit 0");
    expect(k, access_of(s), (t & TYPE_CODE) == 0 || (t & TYPE_READABLE) != 0,
           "a code segment must be readable, bit 1");
    if (!k->unrestricted && t <= 11)
        expect(k, access_of(s), dpl(k, s) >= rpl(k, s),
               "DPL must not be less than the selector's RPL");
}

static void check_code_data_access(struct vmx_checker *k)
{
    check_cs(k);
    check_ss(k);
    check_data(k, DS);
    check_data(k, ES);
    check_data(k, FS);
    check_data(k, GS);
    for (unsigned i = ES; i <= GS; i++) {
        enum segment s = (enum segment)i;

        if (s != CS && !usable(k, s))
            continue;
        expect_set(k, access_of(s), AR_S, "S, bit 4, must be 1");
        check_common(k, s);
    }
}

static void check_tr(struct vmx_checker *k)
{
    unsigned t = type(k, TR);

    expect(k, VF_TR_ACCESS, t == 11 || (t == 3 && !k->ia32e),
           "the type must be 11 (or 3 outside IA-32e mode)");
    expect_clear(k, VF_TR_ACCESS, AR_S, "S, bit 4, must be 0");
    check_common(k, TR);
    expect_clear(k, VF_TR_ACCESS, AR_UNUSABLE, "must not be unusable, bit 16");
}

static void check_ldtr(struct vmx_checker *k)
{
    if (!usable(k, LDTR))
        return;
    expect(k, VF_LDTR_ACCESS, type(k, LDTR) == 2, "the type must be 2");
    expect_clear(k, VF_LDTR_ACCESS, AR_S, "S, bit 4, must be 0");
    check_common(k, LDTR);
}

void vmx_check_segments(struct vmx_checker *k)
{
    k->section = "Checks on Guest Segment Registers";
    check_selectors(k);
    check_bases(k);
    if (k->v8086)
        check_v8086(k);
    else
        check_code_data_access(k);
    check_tr(k);
    check_ldtr(k);
}
