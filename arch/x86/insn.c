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
#define F_MOFFS       0x0001u /* the offset follows; the register is rAX; no ModRM       */
#define F_STRING      0x0002u /* memory is rSI or rDI, the register is rAX; no ModRM     */
#define F_IMM         0x0004u /* an immediate of the operand's size, at most 4 bytes     */
#define F_IMM8        0x0008u /* an immediate of one byte                                */
#define F_ONE         0x0010u /* an immediate of 1 that is not in the code               */
#define F_CL          0x0020u /* the register is CL                                      */
#define F_OPCODE      0x0040u /* the group is indexed by opcode [5:3], not by ModRM.reg  */
#define F_LONG        0x0080u /* exists in 64-bit mode only                              */
#define F_BYTE        0x0100u /* a byte whatever opcode bit 0                            */
#define F_WHOLE       0x0200u /* the operand size whatever opcode bit 0                  */
#define F_DOUBLE      0x0400u /* 4 bytes, or 8 with REX.W                                */
#define F_EXTEND      0x0800u /* memory: byte or word, the register has the operand size */
#define F_NO_66       0x1000u /* another instruction, or none, with 66                   */
#define F_NO_REP      0x2000u /* the same with F2 or F3                                  */

/* Groups: the operations of an opcode, by three bits of it or of ModRM. SDM 2D "Opcode Map". */
enum group { GROUP_NONE, GROUP_1, GROUP_2, GROUP_3, GROUP_4_5, GROUP_8, GROUP_9, GROUP_11 };

#define NO 0xffu

static const uint8_t groups[][8] = {
    [GROUP_1] = {INSN_ADD,  INSN_OR,   INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP},
    [GROUP_2] = {INSN_ROL,  INSN_ROR,  INSN_RCL, INSN_RCR, INSN_SHL, INSN_SHR, INSN_SHL, INSN_SAR},
    [GROUP_3] = {INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG, NO,       NO,       NO,       NO      },
    [GROUP_4_5] = {INSN_INC,  INSN_DEC,  NO,       NO,       NO,       NO,       NO,       NO      },
    [GROUP_8] = {NO,        NO,        NO,       NO,       INSN_BT,  INSN_BTS, INSN_BTR, INSN_BTC},
    [GROUP_9] = {NO,        0,         NO,       NO,       NO,       NO,       NO,       NO      },
    [GROUP_11] = {0,         NO,        NO,       NO,       NO,       NO,       NO,       NO      },
};

enum map { MAP_1, MAP_0F, MAP_0F38 };

/* Opcode bit 0, if F_* says nothing else: 0 the operands are bytes, 1 they have the operand size.
 */
struct form {
    uint8_t map;  /* enum map */
    uint8_t mask; /* the row is for opcodes with (opcode & mask) == match */
    uint8_t match;
    uint8_t op;    /* enum insn_op */
    uint8_t group; /* enum group */
    uint16_t flags;
};

/* What drivers use most comes first. */
static const struct form forms[] = {
    {MAP_1,    0xfe, 0x88, INSN_STORE_REG,    GROUP_NONE, 0                            },
    {MAP_1,    0xfe, 0x8a, INSN_LOAD,         GROUP_NONE, 0                            },
    {MAP_1,    0xfe, 0xc6, INSN_STORE_IMM,    GROUP_11,   F_IMM                        },
    {MAP_1,    0xc6, 0x00, INSN_ALU_MEM_REG,  GROUP_1,    F_OPCODE                     }, /* 00 01 08.. */
    {MAP_1,    0xc6, 0x02, INSN_ALU_REG_MEM,  GROUP_1,    F_OPCODE                     }, /* 02 03 0A.. */
    {MAP_1,    0xfe, 0x80, INSN_ALU_MEM_IMM,  GROUP_1,    F_IMM                        },
    {MAP_1,    0xff, 0x83, INSN_ALU_MEM_IMM,  GROUP_1,    F_IMM8                       },
    {MAP_1,    0xfe, 0x84, INSN_ALU_MEM_REG,  GROUP_3,    F_OPCODE                     }, /* TEST */
    {MAP_1,    0xfe, 0x86, INSN_XCHG,         GROUP_NONE, 0                            },
    {MAP_1,    0xfe, 0xf6, INSN_ALU_MEM_IMM,  GROUP_3,    F_IMM                        },
    {MAP_1,    0xfe, 0xa0, INSN_LOAD,         GROUP_NONE, F_MOFFS                      },
    {MAP_1,    0xfe, 0xa2, INSN_STORE_REG,    GROUP_NONE, F_MOFFS                      },
    {MAP_1,    0xfe, 0xa4, INSN_MOVS,         GROUP_NONE, F_STRING                     },
    {MAP_1,    0xfe, 0xa6, INSN_CMPS,         GROUP_NONE, F_STRING                     },
    {MAP_1,    0xfe, 0xaa, INSN_STOS,         GROUP_NONE, F_STRING                     },
    {MAP_1,    0xfe, 0xac, INSN_LODS,         GROUP_NONE, F_STRING                     },
    {MAP_1,    0xfe, 0xae, INSN_SCAS,         GROUP_NONE, F_STRING                     },
    {MAP_1,    0xff, 0x63, INSN_LOAD_SIGN,    GROUP_NONE, F_LONG                       }, /* MOVSXD */
    {MAP_1,    0xfe, 0xfe, INSN_ALU_MEM_IMM,  GROUP_4_5,  0                            },
    {MAP_1,    0xfe, 0xc0, INSN_ALU_MEM_IMM,  GROUP_2,    F_IMM8                       },
    {MAP_1,    0xfe, 0xd0, INSN_ALU_MEM_IMM,  GROUP_2,    F_ONE                        },
    {MAP_1,    0xfe, 0xd2, INSN_ALU_MEM_REG,  GROUP_2,    F_CL                         },
    {MAP_0F,   0xfe, 0xb6, INSN_LOAD_ZERO,    GROUP_NONE, F_EXTEND                     }, /* MOVZX */
    {MAP_0F,   0xfe, 0xbe, INSN_LOAD_SIGN,    GROUP_NONE, F_EXTEND                     }, /* MOVSX */
    {MAP_0F,   0xff, 0xba, INSN_ALU_MEM_IMM,  GROUP_8,    F_WHOLE | F_IMM8             },
    {MAP_0F,   0xe7, 0xa3, INSN_ALU_MEM_REG,  GROUP_8,    F_OPCODE                     }, /* BT .. BTC */
    {MAP_0F,   0xfe, 0xb0, INSN_CMPXCHG,      GROUP_NONE, 0                            },
    {MAP_0F,   0xfe, 0xc0, INSN_XADD,         GROUP_NONE, 0                            },
    {MAP_0F,   0xff, 0xc3, INSN_STORE_REG,    GROUP_NONE, F_DOUBLE | F_NO_66 | F_NO_REP}, /* MOVNTI */
    {MAP_0F,   0xff, 0xc7, INSN_CMPXCHG_PAIR, GROUP_9,    F_DOUBLE                     },
    {MAP_0F,   0xf0, 0x90, INSN_SETCC,        GROUP_NONE, F_BYTE                       },
    {MAP_0F,   0xf0, 0x40, INSN_CMOV,         GROUP_NONE, F_WHOLE                      },
    {MAP_0F38, 0xff, 0xf0, INSN_LOAD_SWAP,    GROUP_NONE, F_WHOLE | F_NO_REP           }, /* MOVBE */
    {MAP_0F38, 0xff, 0xf1, INSN_STORE_SWAP,   GROUP_NONE, F_WHOLE | F_NO_REP           },
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
    enum insn_rep rep;       /* F3, F2 */
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
        d->rep = byte == 0xf3 ? INSN_REPE : INSN_REPNE;
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

/* Step over the escape bytes 0F and 0F 38. */
static enum map take_escape(struct decoder *d, uint8_t *opcode)
{
    if (*opcode != 0x0f)
        return MAP_1;
    *opcode = next8(d);
    if (*opcode != 0x38)
        return MAP_0F;
    *opcode = next8(d);
    return MAP_0F38;
}

static bool is_form(const struct decoder *d, const struct form *form)
{
    if ((form->flags & F_LONG) != 0 && d->mode != INSN_MODE_64)
        return false;
    if ((form->flags & F_NO_66) != 0 && d->other_operand_size)
        return false;
    return (form->flags & F_NO_REP) == 0 || d->rep == INSN_NO_REP;
}

static const struct form *find_form(const struct decoder *d, enum map map, uint8_t opcode)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const struct form *form = &forms[i];

        if ((opcode & form->mask) == form->match && form->map == map)
            return is_form(d, form) ? form : NULL;
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
    bool is_byte =
        (form->flags & F_BYTE) != 0 || ((opcode & 1) == 0 && (form->flags & F_WHOLE) == 0);

    out->size = is_byte ? 1 : operand;
    out->width = out->size;
    if ((form->flags & F_DOUBLE) != 0) {
        out->size = out->width = (d->rex & REX_W) != 0 ? 8 : 4;
    } else if ((form->flags & F_EXTEND) != 0) {
        out->size = is_byte ? 1 : 2;
        out->width = operand;
    } else if ((form->flags & F_LONG) != 0) {
        out->size = operand == 8 ? 4 : operand;
    }
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
        bool to_es = form->op == INSN_STOS || form->op == INSN_SCAS;

        out->mem.base = to_es ? INSN_RDI : INSN_RSI;
        out->mem.segment = to_es ? INSN_ES : segment_of(d, &out->mem); /* ES has no override */
        return true;
    }
    return read_modrm(d, out, reg);
}

static bool has_register(enum insn_op op)
{
    return op != INSN_STORE_IMM && op != INSN_SETCC && op != INSN_CMPXCHG_PAIR &&
           op != INSN_ALU_MEM_IMM && op < INSN_MOVS;
}

static void set_register(const struct decoder *d, const struct form *form, uint8_t reg,
                         struct insn *out)
{
    bool is_legacy_high = out->width == 1 && d->rex == 0 && reg >= 4;

    out->reg = INSN_NO_REG;
    if (!has_register(out->op))
        return;
    if ((form->flags & F_CL) != 0) {
        out->reg = INSN_RCX;
        return;
    }
    out->high_byte = is_legacy_high;
    out->reg = (uint8_t)(is_legacy_high ? reg - 4 : reg);
}

/* Choose the operation; false: the group has none there. */
static bool set_alu(const struct form *form, uint8_t opcode, uint8_t reg, struct insn *out)
{
    uint8_t alu;

    if (form->group == GROUP_NONE)
        return true;
    alu = groups[form->group][((form->flags & F_OPCODE) != 0 ? opcode >> 3 : reg) & 7];
    if (alu == NO)
        return false;
    out->alu = (enum insn_alu_op)alu;
    return true;
}

static void read_immediate(struct decoder *d, const struct form *form, struct insn *out)
{
    if ((form->flags & F_ONE) != 0)
        out->immediate = 1;
    else if ((form->flags & F_IMM8) != 0)
        out->immediate = next_signed(d, 1);
    else if ((form->flags & F_IMM) != 0 && out->alu != INSN_NOT && out->alu != INSN_NEG)
        out->immediate = next_signed(d, out->size == 8 ? 4 : out->size);
}

/* SDM 2A "LOCK": allowed where the destination is memory that is read, changed and written. */
static bool is_lockable(const struct insn *insn)
{
    if (insn->op == INSN_ALU_MEM_REG || insn->op == INSN_ALU_MEM_IMM)
        return insn_alu_writes(insn->alu) && insn->alu < INSN_ROL;
    return insn->op >= INSN_XCHG && insn->op <= INSN_CMPXCHG_PAIR;
}

static bool decode(struct decoder *d, struct insn *out)
{
    uint8_t opcode = next_opcode(d);
    enum map map = take_escape(d, &opcode);
    const struct form *form = find_form(d, map, opcode);
    uint8_t reg;

    if (form == NULL)
        return false;
    out->op = (enum insn_op)form->op;
    out->locked = d->lock;
    out->rep = insn_is_string(out) ? d->rep : INSN_NO_REP;
    set_sizes(d, form, opcode, out);
    if (!read_operands(d, form, out, &reg) || !set_alu(form, opcode, reg, out))
        return false;
    set_register(d, form, reg, out);
    if (out->op == INSN_SETCC || out->op == INSN_CMOV)
        out->condition = opcode & 0xf;
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

bool insn_reads(const struct insn *insn)
{
    return insn->op > INSN_STORE_SWAP && insn->op != INSN_SETCC;
}

bool insn_writes(const struct insn *insn)
{
    if (insn->op == INSN_ALU_MEM_REG || insn->op == INSN_ALU_MEM_IMM)
        return insn_alu_writes(insn->alu);
    return insn->op <= INSN_STORE_SWAP || (insn->op >= INSN_SETCC && insn->op < INSN_ALU_REG_MEM);
}

/* SDM 2A "BT": a register's bit number is signed and counts from the operand's address on. */
static uint64_t bit_displacement(const struct insn *insn, const uint64_t regs[16])
{
    unsigned shift = 3 + bit_lowest(insn->size);

    if (insn->op != INSN_ALU_MEM_REG || insn->alu < INSN_BT || insn->alu > INSN_BTC)
        return 0;
    return (uint64_t)((int64_t)insn_sign_extend(regs[insn->reg], insn->size) >> shift) * insn->size;
}

uint64_t insn_memory_offset(const struct insn *insn, const uint64_t regs[16], uint64_t rip)
{
    uint64_t offset = insn_address(&insn->mem, regs) + bit_displacement(insn, regs);

    if (insn->mem.rip_relative)
        offset += rip + insn->length;
    return offset & size_mask(insn->mem.address_size);
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

/* INC and DEC leave CF as it was. */
static uint64_t step(enum insn_alu_op op, unsigned size, uint64_t a, uint64_t *rflags)
{
    uint64_t old = *rflags & RFLAGS_CF;
    uint64_t result = op == INSN_INC ? add(size, a, 1, 0, rflags) : subtract(size, a, 1, 0, rflags);

    *rflags = (*rflags & ~RFLAGS_CF) | old;
    return result;
}

/* CF is the bit as it was; the other flags stay. */
static uint64_t bit_test(enum insn_alu_op op, unsigned size, uint64_t a, uint64_t number,
                         uint64_t *rflags)
{
    uint64_t bit = 1ull << (number & (8 * size - 1));

    *rflags = (*rflags & ~RFLAGS_CF) | ((a & bit) != 0 ? RFLAGS_CF : 0);
    if (op == INSN_BTR || (op == INSN_BTC && (a & bit) != 0))
        return a & ~bit;
    return op == INSN_BT ? a : a | bit;
}

/* SDM 2B "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", bit by bit. A count of 0 changes no flag. */
static uint64_t shift(enum insn_alu_op op, unsigned size, uint64_t a, uint64_t count,
                      uint64_t *rflags)
{
    bool left = op == INSN_ROL || op == INSN_RCL || op == INSN_SHL;
    bool rotates = op <= INSN_RCR;
    unsigned top = 8 * size - 1;
    uint64_t carry = *rflags & RFLAGS_CF;

    count &= size == 8 ? 63 : 31;
    if (count == 0)
        return a;
    for (; count > 0; count--) {
        uint64_t out = left ? a >> top : a & 1;
        uint64_t in = 0;

        if (op == INSN_ROL || op == INSN_ROR)
            in = out;
        else if (rotates)
            in = carry;
        else if (op == INSN_SAR)
            in = a >> top;
        a = left ? (a << 1 & size_mask(size)) | in : a >> 1 | in << top;
        carry = out;
    }
    if (!rotates)
        (void)logic(size, a, rflags);
    *rflags = (*rflags & ~(RFLAGS_CF | RFLAGS_OF)) | carry;
    if ((a >> top) != (left ? carry : a >> (top - 1) & 1))
        *rflags |= RFLAGS_OF;
    return a;
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
    case INSN_INC:
    case INSN_DEC: return step(op, size, a, rflags);
    case INSN_NOT: return ~a & size_mask(size);
    case INSN_NEG: return subtract(size, 0, a, 0, rflags);
    case INSN_BT:
    case INSN_BTS:
    case INSN_BTR:
    case INSN_BTC: return bit_test(op, size, a, b, rflags);
    case INSN_ROL:
    case INSN_ROR:
    case INSN_RCL:
    case INSN_RCR:
    case INSN_SHL:
    case INSN_SHR:
    case INSN_SAR: return shift(op, size, a, b, rflags);
    }
    return a;
}

/* --- execution -------------------------------------------------------------------------------- */

/* SDM 1 "EFLAGS Condition Codes"; bit 0 turns the condition over. */
static bool condition_holds(unsigned condition, uint64_t rflags)
{
    static const uint16_t any_of[8] = {
        RFLAGS_OF, RFLAGS_CF, RFLAGS_ZF, RFLAGS_CF | RFLAGS_ZF, RFLAGS_SF, RFLAGS_PF, 0, /* L */
        RFLAGS_ZF, /* LE: or L */
    };
    bool less = ((rflags & RFLAGS_SF) != 0) != ((rflags & RFLAGS_OF) != 0);
    bool holds = (rflags & any_of[condition >> 1]) != 0 || (condition >= 12 && less);

    return holds != ((condition & 1) != 0);
}

static uint64_t swap_bytes(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

static uint64_t get_register(const struct insn *insn, const uint64_t gpr[16])
{
    return insn_register_operand(gpr[insn->reg], insn->width, insn->high_byte);
}

static void set_register_operand(const struct insn *insn, uint64_t gpr[16], uint64_t value)
{
    uint64_t *reg = &gpr[insn->reg];

    *reg = insn->high_byte ? insn_merge_high_byte(*reg, value)
                           : insn_merge_register(*reg, value, insn->width);
}

static void exchange(const struct insn *insn, uint64_t gpr[16], uint64_t *memory)
{
    uint64_t old = *memory;

    *memory = get_register(insn, gpr);
    set_register_operand(insn, gpr, old);
}

/* The flags are those of the comparison. Memory is written in any case. */
static void compare_exchange(const struct insn *insn, uint64_t gpr[16], uint64_t *memory,
                             uint64_t *rflags)
{
    uint64_t *rax = &gpr[INSN_RAX];

    (void)insn_alu(INSN_CMP, insn->size, *rax, *memory, rflags);
    if ((*rflags & RFLAGS_ZF) != 0)
        *memory = get_register(insn, gpr);
    else
        *rax = insn_merge_register(*rax, *memory, insn->size);
}

/* Only ZF changes. CMPXCHG8B has both halves in one word. */
static void compare_exchange_pair(const struct insn *insn, uint64_t gpr[16], uint64_t memory[2],
                                  uint64_t *rflags)
{
    bool one_word = insn->size == 4;
    uint64_t mask = size_mask(insn->size);
    uint64_t low = memory[0] & mask;
    uint64_t high = one_word ? memory[0] >> 32 : memory[1];

    if (low != (gpr[INSN_RAX] & mask) || high != (gpr[INSN_RDX] & mask)) {
        *rflags &= ~RFLAGS_ZF;
        gpr[INSN_RAX] = low;
        gpr[INSN_RDX] = high;
        return;
    }
    *rflags |= RFLAGS_ZF;
    memory[0] = one_word ? gpr[INSN_RCX] << 32 | (uint32_t)gpr[INSN_RBX] : gpr[INSN_RBX];
    memory[1] = gpr[INSN_RCX];
}

void insn_execute(const struct insn *insn, uint64_t gpr[16], uint64_t memory[2], uint64_t *rflags)
{
    uint64_t value = memory[0];

    switch (insn->op) {
    case INSN_STORE_REG: memory[0] = get_register(insn, gpr); break;
    case INSN_STORE_IMM: memory[0] = insn->immediate; break;
    case INSN_STORE_SWAP: memory[0] = swap_bytes(get_register(insn, gpr), insn->size); break;
    case INSN_LOAD:
    case INSN_LOAD_ZERO: set_register_operand(insn, gpr, value); break;
    case INSN_LOAD_SIGN:
        set_register_operand(insn, gpr, insn_sign_extend(value, insn->size));
        break;
    case INSN_LOAD_SWAP: set_register_operand(insn, gpr, swap_bytes(value, insn->size)); break;
    case INSN_CMOV: /* a 32-bit register loses its upper half in any case */
        if (!condition_holds(insn->condition, *rflags))
            value = get_register(insn, gpr);
        set_register_operand(insn, gpr, value);
        break;
    case INSN_SETCC: memory[0] = condition_holds(insn->condition, *rflags); break;
    case INSN_XADD: {
        uint64_t sum = insn_alu(INSN_ADD, insn->size, value, get_register(insn, gpr), rflags);

        set_register_operand(insn, gpr, value);
        memory[0] = sum;
        break;
    }
    case INSN_XCHG: exchange(insn, gpr, memory); break;
    case INSN_CMPXCHG: compare_exchange(insn, gpr, memory, rflags); break;
    case INSN_CMPXCHG_PAIR: compare_exchange_pair(insn, gpr, memory, rflags); break;
    case INSN_ALU_MEM_REG:
        memory[0] = insn_alu(insn->alu, insn->size, value, get_register(insn, gpr), rflags);
        break;
    case INSN_ALU_MEM_IMM:
        memory[0] = insn_alu(insn->alu, insn->size, value, insn->immediate, rflags);
        break;
    case INSN_ALU_REG_MEM:
        value = insn_alu(insn->alu, insn->size, get_register(insn, gpr), value, rflags);
        if (insn_alu_writes(insn->alu))
            set_register_operand(insn, gpr, value);
        break;
    case INSN_STOS:
    case INSN_LODS:
    case INSN_SCAS:
    case INSN_MOVS:
    case INSN_CMPS:
    case INSN_INS:
    case INSN_OUTS: break;
    }
}
