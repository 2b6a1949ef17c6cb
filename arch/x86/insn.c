/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Instruction decoder: prefixes, then a row of the table `forms` by the opcode, then ModRM, SIB,
 * displacement and immediate as that row says.
 *
 * Source: SDM 2A "Instruction Format", SDM 2D "Opcode Map".
 */
#include "arch/x86/insn.h"

#include "lib/bits.h"
#include "lib/compiler.h"

/* REX prefix, 64-bit mode. SDM 2A "REX Prefixes". */
#define REX_W         0x08u /* [3] operand size is 8 bytes       */
#define REX_R         0x04u /* [2] bit 3 of ModRM.reg            */
#define REX_X         0x02u /* [1] bit 3 of SIB.index            */
#define REX_B         0x01u /* [0] bit 3 of ModRM.rm or SIB.base */

/* RFLAGS. SDM 1 "EFLAGS Register". */
#define RFLAGS_CF     0x001ull /* [0]  carry                   */
#define RFLAGS_PF     0x004ull /* [2]  parity of the low byte  */
#define RFLAGS_AF     0x010ull /* [4]  carry from bit 3 to 4   */
#define RFLAGS_ZF     0x040ull /* [6]  zero                    */
#define RFLAGS_SF     0x080ull /* [7]  sign                    */
#define RFLAGS_OF     0x800ull /* [11] overflow                */
#define RFLAGS_STATUS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* What follows an opcode and how to read it; see struct form. */
#define F_0F          0x001u /* the opcode's first byte is 0F                           */
#define F_LONG        0x002u /* exists in 64-bit mode only                              */
#define F_MOFFS       0x004u /* the offset follows; the register is rAX; no ModRM       */
#define F_STRING      0x008u /* memory is ES:rDI, the register is rAX; no ModRM         */
#define F_IMM         0x010u /* an immediate of the operand's size, at most 4 bytes     */
#define F_IMM8        0x020u /* an immediate of one byte                                */
#define F_DIGIT0      0x040u /* ModRM.reg must be 0                                     */
#define F_ALU         0x080u /* opcode [5:3] is enum insn_alu_op                        */
#define F_GROUP1      0x100u /* ModRM.reg is enum insn_alu_op                           */
#define F_TEST        0x200u /* the operation is TEST                                   */

/* Opcode bit 0 of all forms: 0 the memory operand is a byte, 1 it has the operand size. */
struct form {
    uint8_t mask; /* the row is for opcodes with (opcode & mask) == match */
    uint8_t match;
    enum insn_op op;
    unsigned flags; /* F_* */
};

static const struct form forms[] = {
    {0xc6, 0x00, INSN_ALU_MEM_REG, F_ALU                    }, /* 00 01 08 09 .. 38 39        */
    {0xc6, 0x02, INSN_ALU_REG_MEM, F_ALU                    }, /* 02 03 0A 0B .. 3A 3B        */
    {0xff, 0x63, INSN_LOAD_SIGN,   F_LONG                   }, /* MOVSXD                      */
    {0xfe, 0x80, INSN_ALU_MEM_IMM, F_GROUP1 | F_IMM         }, /* 80 81                       */
    {0xff, 0x83, INSN_ALU_MEM_IMM, F_GROUP1 | F_IMM8        },
    {0xfe, 0x84, INSN_ALU_MEM_REG, F_TEST                   },
    {0xfe, 0x86, INSN_XCHG,        0                        },
    {0xfe, 0x88, INSN_STORE_REG,   0                        },
    {0xfe, 0x8a, INSN_LOAD,        0                        },
    {0xfe, 0xa0, INSN_LOAD,        F_MOFFS                  },
    {0xfe, 0xa2, INSN_STORE_REG,   F_MOFFS                  },
    {0xfe, 0xaa, INSN_STOS,        F_STRING                 },
    {0xfe, 0xc6, INSN_STORE_IMM,   F_DIGIT0 | F_IMM         },
    {0xfe, 0xf6, INSN_ALU_MEM_IMM, F_TEST | F_DIGIT0 | F_IMM},
    {0xfe, 0xb6, INSN_LOAD_ZERO,   F_0F                     }, /* MOVZX                       */
    {0xfe, 0xbe, INSN_LOAD_SIGN,   F_0F                     }, /* MOVSX                       */
};

/* One decoding under way: the bytes, how far they are read, and what the prefixes said. */
struct decoder {
    const uint8_t *bytes;
    size_t len;
    size_t pos;
    bool ended; /* a byte past the end was asked for */
    enum insn_mode mode;
    bool other_operand_size; /* 66 */
    bool other_address_size; /* 67 */
    bool lock;               /* F0 */
    bool rep;                /* F2 or F3 */
    bool has_segment;
    enum insn_segment segment;
    uint8_t rex; /* the byte, or 0 if there is none */
};

/* The only reader of the guest's bytes. Past the end it gives 0, which is not a prefix. */
static uint8_t next8(struct decoder *d)
{
    if (d->pos >= d->len) {
        d->ended = true;
        return 0;
    }
    return d->bytes[d->pos++];
}

/* The next `size` bytes, 0..8, little-endian. */
static uint64_t next(struct decoder *d, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)next8(d) << (8 * i);
    return value;
}

static uint64_t next_signed(struct decoder *d, unsigned size)
{
    return size == 0 ? 0 : insn_sign_extend(next(d, size), size);
}

/* Segment overrides. In 64-bit mode those of ES CS SS DS are ignored: an FS or GS before stays. */
static bool take_segment_prefix(struct decoder *d, uint8_t byte)
{
    bool is_old = (byte & 0xe7) == 0x26; /* 26 ES, 2E CS, 36 SS, 3E DS */

    if (!is_old && byte != 0x64 && byte != 0x65)
        return false;
    if (is_old && d->mode == INSN_MODE_64)
        return true;
    d->has_segment = true;
    d->segment = (enum insn_segment)(is_old ? (byte >> 3) & 3 : byte & 7);
    return true;
}

static bool take_legacy_prefix(struct decoder *d, uint8_t byte)
{
    if (byte == 0x66)
        d->other_operand_size = true;
    else if (byte == 0x67)
        d->other_address_size = true;
    else if (byte == 0xf0)
        d->lock = true;
    else if (byte == 0xf2 || byte == 0xf3)
        d->rep = true;
    else
        return take_segment_prefix(d, byte);
    return true;
}

/* Read all prefixes and the byte after them, the opcode. */
static uint8_t next_opcode(struct decoder *d)
{
    for (;;) {
        uint8_t byte = next8(d);

        if (d->mode == INSN_MODE_64 && (byte & 0xf0) == 0x40)
            d->rex = byte;
        else if (take_legacy_prefix(d, byte))
            d->rex = 0; /* REX counts only just before the opcode */
        else
            return byte;
    }
}

static const struct form *find_form(enum insn_mode mode, uint8_t opcode, unsigned escape)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const struct form *form = &forms[i];

        if ((opcode & form->mask) != form->match || (form->flags & F_0F) != escape)
            continue;
        if ((form->flags & F_LONG) != 0 && mode != INSN_MODE_64)
            continue;
        return form;
    }
    return NULL;
}

/* SDM 1 "Operand-Size and Address-Size Attributes". */
static uint8_t operand_size(const struct decoder *d)
{
    if ((d->rex & REX_W) != 0)
        return 8;
    return (d->mode == INSN_MODE_16) == d->other_operand_size ? 4 : 2;
}

static uint8_t address_size(const struct decoder *d)
{
    if (d->mode == INSN_MODE_64)
        return d->other_address_size ? 4 : 8;
    return (d->mode == INSN_MODE_16) == d->other_address_size ? 4 : 2;
}

static void set_sizes(const struct decoder *d, const struct form *form, uint8_t opcode,
                      struct insn *out)
{
    uint8_t operand = operand_size(d);

    out->width = operand;
    out->size = (opcode & 1) == 0 ? 1 : operand;
    if ((form->flags & F_0F) != 0)
        out->size = (opcode & 1) == 0 ? 1 : 2;
    else if ((form->flags & F_LONG) != 0)
        out->size = operand == 8 ? 4 : operand;
    else
        out->width = out->size;
}

/* A four-bit register number: three bits at `shift` of a ModRM or SIB byte, the fourth from REX. */
static uint8_t register_field(const struct decoder *d, unsigned byte, unsigned shift, unsigned rex)
{
    unsigned low = (byte >> shift) & 7;

    return (uint8_t)((d->rex & rex) != 0 ? low + 8 : low);
}

/* SDM 2A "16-Bit Addressing Forms with the ModR/M Byte". */
static void read_memory16(struct decoder *d, uint8_t modrm, struct insn_memory *mem)
{
    static const uint8_t bases[8] = {INSN_RBX, INSN_RBX, INSN_RBP, INSN_RBP,
                                     INSN_RSI, INSN_RDI, INSN_RBP, INSN_RBX};
    static const uint8_t indexes[8] = {INSN_RSI,    INSN_RDI,    INSN_RSI,    INSN_RDI,
                                       INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};
    unsigned mod = modrm >> 6;
    unsigned rm = modrm & 7;
    bool no_base = mod == 0 && rm == 6;

    mem->base = no_base ? INSN_NO_REG : bases[rm];
    mem->index = indexes[rm];
    mem->displacement = next_signed(d, no_base ? 2 : mod); /* mod 0, 1, 2: as many bytes */
}

/* SDM 2A "32-Bit Addressing Forms with the SIB Byte". Index 4 without REX.X means none. */
static void read_sib(struct decoder *d, struct insn_memory *mem)
{
    uint8_t sib = next8(d);
    uint8_t index = register_field(d, sib, 3, REX_X);

    mem->base = register_field(d, sib, 0, REX_B);
    if (index == INSN_RSP)
        return;
    mem->index = index;
    mem->scale = (uint8_t)(1u << (sib >> 6));
}

/* SDM 2A "32-Bit Addressing Forms with the ModR/M Byte", "RIP-Relative Addressing". */
static void read_memory32(struct decoder *d, uint8_t modrm, struct insn_memory *mem)
{
    static const uint8_t displacement_sizes[3] = {0, 1, 4};
    unsigned mod = modrm >> 6;
    bool has_sib = (modrm & 7) == 4;

    mem->base = register_field(d, modrm, 0, REX_B);
    if (has_sib)
        read_sib(d, mem);
    if (mod == 0 && (mem->base & 7) == INSN_RBP) {
        mem->base = INSN_NO_REG;
        mem->rip_relative = d->mode == INSN_MODE_64 && !has_sib;
        mod = 2;
    }
    mem->displacement = next_signed(d, displacement_sizes[mod]);
}

static enum insn_segment segment_of(const struct decoder *d, const struct insn_memory *mem)
{
    if (d->has_segment)
        return d->segment;
    return mem->base == INSN_RSP || mem->base == INSN_RBP ? INSN_SS : INSN_DS;
}

/* Read ModRM and the memory operand. Returns ModRM.reg with its REX bit; false: no memory. */
static bool read_modrm(struct decoder *d, struct insn *out, uint8_t *reg)
{
    uint8_t modrm = next8(d);

    if (modrm >> 6 == 3)
        return false;
    *reg = register_field(d, modrm, 3, REX_R);
    if (out->mem.address_size == 2)
        read_memory16(d, modrm, &out->mem);
    else
        read_memory32(d, modrm, &out->mem);
    out->mem.segment = segment_of(d, &out->mem);
    return true;
}

/* Read what the row says follows the opcode, without the immediate. */
static bool read_operands(struct decoder *d, const struct form *form, struct insn *out,
                          uint8_t *reg)
{
    out->mem.base = INSN_NO_REG;
    out->mem.index = INSN_NO_REG;
    out->mem.scale = 1;
    out->mem.address_size = address_size(d);
    *reg = INSN_RAX;
    if ((form->flags & F_MOFFS) != 0) {
        out->mem.displacement = next(d, out->mem.address_size);
        out->mem.segment = segment_of(d, &out->mem);
        return true;
    }
    if ((form->flags & F_STRING) != 0) {
        out->mem.base = INSN_RDI;
        out->mem.segment = INSN_ES; /* no override changes it */
        return true;
    }
    return read_modrm(d, out, reg) && ((form->flags & F_DIGIT0) == 0 || (*reg & 7) == 0);
}

static void set_register(const struct decoder *d, const struct form *form, uint8_t reg,
                         struct insn *out)
{
    bool is_legacy_high = out->width == 1 && d->rex == 0 && reg >= 4;

    out->reg = INSN_NO_REG;
    if ((form->flags & (F_IMM | F_IMM8)) != 0)
        return;
    out->high_byte = is_legacy_high;
    out->reg = (uint8_t)(is_legacy_high ? reg - 4 : reg);
}

static void set_alu(const struct form *form, uint8_t opcode, uint8_t reg, struct insn *out)
{
    if ((form->flags & F_ALU) != 0)
        out->alu = (enum insn_alu_op)((opcode >> 3) & 7);
    else if ((form->flags & F_GROUP1) != 0)
        out->alu = (enum insn_alu_op)(reg & 7);
    else if ((form->flags & F_TEST) != 0)
        out->alu = INSN_TEST;
}

static void read_immediate(struct decoder *d, const struct form *form, struct insn *out)
{
    if ((form->flags & F_IMM8) != 0)
        out->immediate = next_signed(d, 1);
    else if ((form->flags & F_IMM) != 0)
        out->immediate = next_signed(d, out->size == 8 ? 4 : out->size);
}

/* SDM 2A "LOCK": allowed where the destination is memory that is read, changed and written. */
static bool is_lockable(const struct insn *insn)
{
    if (insn->op == INSN_ALU_MEM_REG || insn->op == INSN_ALU_MEM_IMM)
        return insn_alu_writes(insn->alu);
    return insn->op == INSN_XCHG;
}

static bool decode(struct decoder *d, struct insn *out)
{
    uint8_t opcode = next_opcode(d);
    unsigned escape = opcode == 0x0f ? F_0F : 0;
    const struct form *form;
    uint8_t reg;

    if (escape != 0)
        opcode = next8(d);
    form = find_form(d->mode, opcode, escape);
    if (form == NULL)
        return false;
    out->op = form->op;
    out->locked = d->lock;
    out->rep = d->rep && form->op == INSN_STOS;
    set_sizes(d, form, opcode, out);
    if (!read_operands(d, form, out, &reg))
        return false;
    set_register(d, form, reg, out);
    set_alu(form, opcode, reg, out);
    read_immediate(d, form, out);
    out->length = (uint8_t)d->pos;
    return !d->lock || is_lockable(out);
}

bool insn_decode(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out)
{
    struct decoder d = {
        .bytes = bytes, .len = len < INSN_MAX_LEN ? len : INSN_MAX_LEN, .mode = mode};
    bool known;

    *out = (struct insn){0};
    known = decode(&d, out);
    out->truncated = d.ended && len < INSN_MAX_LEN;
    return known && !d.ended;
}

uint64_t insn_memory_offset(const struct insn *insn, const uint64_t regs[16], uint64_t rip)
{
    const struct insn_memory *mem = &insn->mem;
    uint64_t offset = mem->displacement;

    if (mem->base != INSN_NO_REG)
        offset += regs[mem->base];
    if (mem->index != INSN_NO_REG)
        offset += regs[mem->index] * mem->scale;
    if (mem->rip_relative)
        offset += rip + insn->length;
    return offset & size_mask(mem->address_size);
}

uint64_t insn_sign_extend(uint64_t value, unsigned size)
{
    uint64_t mask = size_mask(size);
    uint64_t sign = mask ^ (mask >> 1);

    return ((value & mask) ^ sign) - sign;
}

uint64_t insn_register_operand(uint64_t reg, unsigned width, bool high_byte)
{
    return (high_byte ? reg >> 8 : reg) & size_mask(width);
}

uint64_t insn_merge_register(uint64_t old, uint64_t value, unsigned width)
{
    uint64_t mask = size_mask(width);

    return width == 4 ? value & mask : (old & ~mask) | (value & mask);
}

uint64_t insn_merge_high_byte(uint64_t old, uint64_t value)
{
    return (old & ~0xff00ull) | ((value & 0xff) << 8);
}

/*
 * RFLAGS after a result.
 *   carries   bit n: there was a carry, or borrow, out of bit n
 *   overflow  its sign bit: signed overflow
 */
static uint64_t flags_of(uint64_t old, unsigned size, uint64_t result, uint64_t carries,
                         uint64_t overflow)
{
    uint64_t sign = 1ull << (8 * size - 1);
    uint64_t nibbles = (result ^ (result >> 4)) & 0xf;
    uint64_t flags = old & ~RFLAGS_STATUS;

    flags |= (carries & sign) != 0 ? RFLAGS_CF : 0;
    flags |= (0x9669u >> nibbles & 1) != 0 ? RFLAGS_PF : 0; /* bit n: n has an even parity */
    flags |= (carries & 0x08) != 0 ? RFLAGS_AF : 0;
    flags |= result == 0 ? RFLAGS_ZF : 0;
    flags |= (result & sign) != 0 ? RFLAGS_SF : 0;
    flags |= (overflow & sign) != 0 ? RFLAGS_OF : 0;
    return flags;
}

static uint64_t add(unsigned size, uint64_t a, uint64_t b, uint64_t carry, uint64_t *rflags)
{
    uint64_t sum = (a + b + carry) & size_mask(size);

    *rflags = flags_of(*rflags, size, sum, (a & b) | ((a | b) & ~sum), (a ^ sum) & (b ^ sum));
    return sum;
}

static uint64_t subtract(unsigned size, uint64_t a, uint64_t b, uint64_t borrow, uint64_t *rflags)
{
    uint64_t rest = (a - b - borrow) & size_mask(size);

    *rflags = flags_of(*rflags, size, rest, (~a & b) | ((~a | b) & rest), (a ^ b) & (a ^ rest));
    return rest;
}

static uint64_t logic(unsigned size, uint64_t result, uint64_t *rflags)
{
    *rflags = flags_of(*rflags, size, result, 0, 0);
    return result;
}

uint64_t insn_alu(enum insn_alu_op op, unsigned size, uint64_t dst, uint64_t src, uint64_t *rflags)
{
    uint64_t carry = *rflags & RFLAGS_CF;
    uint64_t a = dst & size_mask(size);
    uint64_t b = src & size_mask(size);

    switch (op) {
    case INSN_ADD: return add(size, a, b, 0, rflags);
    case INSN_OR: return logic(size, a | b, rflags);
    case INSN_ADC: return add(size, a, b, carry, rflags);
    case INSN_SBB: return subtract(size, a, b, carry, rflags);
    case INSN_AND: return logic(size, a & b, rflags);
    case INSN_SUB: return subtract(size, a, b, 0, rflags);
    case INSN_XOR: return logic(size, a ^ b, rflags);
    case INSN_CMP: (void)subtract(size, a, b, 0, rflags); break;
    case INSN_TEST: (void)logic(size, a & b, rflags); break;
    }
    return a;
}
