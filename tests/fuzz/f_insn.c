/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: arch/x86/insn.c; -lZydis; 17 */
/*
 * The instruction decoder against Zydis: what it accepts, Zydis accepts with the same length,
 * memory access and operands; what Zydis takes for one of our forms, it accepts. Input: a byte for
 * the mode, then code. `make fuzz` runs it; `make check` runs it with a fixed seed.
 */
#include <Zydis/Zydis.h>

#include "arch/x86/insn.h"
#include "lib/bits.h"
#include "tests/fuzz/fuzz.h"

/* What Zydis says of the instruction. */
struct reference {
    bool ok;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const ZydisDecodedOperand *mem; /* NULL: none */
    const ZydisDecodedOperand *reg; /* the general register beside it, NULL: none */
    const ZydisDecodedOperand *imm;
};

static bool is_source_of_two(ZydisMnemonic m)
{
    return m == ZYDIS_MNEMONIC_MOVSB || m == ZYDIS_MNEMONIC_MOVSW || m == ZYDIS_MNEMONIC_MOVSD ||
           m == ZYDIS_MNEMONIC_MOVSQ || m == ZYDIS_MNEMONIC_CMPSB || m == ZYDIS_MNEMONIC_CMPSW ||
           m == ZYDIS_MNEMONIC_CMPSD || m == ZYDIS_MNEMONIC_CMPSQ;
}

static bool is_string_mnemonic(ZydisMnemonic m)
{
    return is_source_of_two(m) || m == ZYDIS_MNEMONIC_STOSB || m == ZYDIS_MNEMONIC_STOSW ||
           m == ZYDIS_MNEMONIC_STOSD || m == ZYDIS_MNEMONIC_STOSQ || m == ZYDIS_MNEMONIC_LODSB ||
           m == ZYDIS_MNEMONIC_LODSW || m == ZYDIS_MNEMONIC_LODSD || m == ZYDIS_MNEMONIC_LODSQ ||
           m == ZYDIS_MNEMONIC_SCASB || m == ZYDIS_MNEMONIC_SCASW || m == ZYDIS_MNEMONIC_SCASD ||
           m == ZYDIS_MNEMONIC_SCASQ;
}

/* rSI and rDI, which string instructions step. */
static bool is_pointer(ZydisRegister reg)
{
    ZyanI8 id = ZydisRegisterGetId(reg);

    return id == INSN_RSI || id == INSN_RDI;
}

/*
 * A SIB byte without base (mod 0, base 5): REX.B is not decoded there, SDM 2A "Special Cases of REX
 * Encodings". With 32-bit addresses Zydis 4.0 takes it for R13D; the processor does not.
 */
static void correct_base(struct reference *r)
{
    for (unsigned i = 0; i < r->insn.operand_count; i++) {
        ZydisDecodedOperandMem *mem = &r->operands[i].mem;

        if (r->operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || mem->base != ZYDIS_REGISTER_R13D ||
            r->insn.raw.modrm.mod != 0 || r->insn.raw.modrm.rm != 4 || r->insn.raw.sib.base != 5)
            continue;
        mem->base = ZYDIS_REGISTER_NONE;
        mem->disp.has_displacement = true;
        mem->disp.value = r->insn.raw.disp.value;
    }
}

static void reference_decode(struct reference *r, const uint8_t *bytes, size_t len,
                             enum insn_mode mode)
{
    static const ZydisMachineMode modes[] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth stacks[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                             ZYDIS_STACK_WIDTH_64};
    ZydisDecoder decoder;

    memset(r, 0, sizeof(*r));
    CHECK(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[mode], stacks[mode])));
    r->ok = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, len, &r->insn, r->operands));
    if (!r->ok)
        return;
    correct_base(r);
    for (int i = r->insn.operand_count - 1; i >= 0; i--) { /* the first of each kind remains */
        const ZydisDecodedOperand *o = &r->operands[i];
        bool is_string = is_string_mnemonic(r->insn.mnemonic);

        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !is_string)
            continue;
        if (is_string && o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
            (o->reg.value == ZYDIS_REGISTER_RCX || o->reg.value == ZYDIS_REGISTER_ECX ||
             o->reg.value == ZYDIS_REGISTER_CX || is_pointer(o->reg.value)))
            continue;
        if (is_source_of_two(r->insn.mnemonic) && o->type == ZYDIS_OPERAND_TYPE_MEMORY &&
            o->mem.base != ZYDIS_REGISTER_RSI && o->mem.base != ZYDIS_REGISTER_ESI &&
            o->mem.base != ZYDIS_REGISTER_SI)
            continue; /* ES:rDI, which struct insn does not name */
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
            r->mem = o;
        else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER)
            r->reg = o;
        else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            r->imm = o;
    }
}

/* Number of a general or instruction-set register in encoding order. */
static unsigned register_number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE || reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return INSN_NO_REG;
    if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
        return (unsigned)(reg - ZYDIS_REGISTER_AH);
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_DIL)
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
    if (reg >= ZYDIS_REGISTER_R8B && reg <= ZYDIS_REGISTER_R15B)
        return (unsigned)(reg - ZYDIS_REGISTER_R8B) + 8;
    return (unsigned)ZydisRegisterGetId(reg);
}

static enum insn_segment segment_number(ZydisRegister reg)
{
    return (enum insn_segment)(reg - ZYDIS_REGISTER_ES);
}

/*
 * In 64-bit mode overrides of ES CS SS DS are ignored, and processors keep an FS or GS override
 * that one of them follows; Zydis drops it. Without such a pair Zydis is right.
 */
static enum insn_segment expected_segment(const struct reference *r, enum insn_mode mode)
{
    enum insn_segment segment = segment_number(r->mem->mem.segment);

    if (mode != INSN_MODE_64 || r->insn.meta.category == ZYDIS_CATEGORY_STRINGOP)
        return segment;
    for (unsigned i = 0; i < r->insn.raw.prefix_count; i++) {
        uint8_t prefix = r->insn.raw.prefixes[i].value;

        if (prefix == 0x64 || prefix == 0x65)
            segment = prefix == 0x64 ? INSN_FS : INSN_GS;
    }
    return segment;
}

/* MOVSXD with 66: the SDM has r16, r/m16, Zydis r16, r/m32. The register gets the same. */
static unsigned expected_size(const struct reference *r)
{
    bool is_movsxd = r->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD;

    return is_movsxd && r->insn.operand_width == 16 ? 2 : r->mem->size / 8;
}

static void check_memory(const struct reference *r, const struct insn *insn, enum insn_mode mode)
{
    const ZydisDecodedOperandMem *mem = &r->mem->mem;
    uint64_t mask = size_mask(insn->mem.address_size);

    CHECK(insn->size * (insn->op == INSN_CMPXCHG_PAIR ? 2u : 1u) == expected_size(r));
    CHECK(insn->mem.address_size * 8 == r->insn.address_width);
    CHECK(insn->mem.segment == expected_segment(r, mode));
    CHECK(insn->mem.base == register_number(mem->base));
    CHECK(insn->mem.index == register_number(mem->index));
    CHECK(insn->mem.scale == (mem->scale == 0 ? 1 : mem->scale));
    CHECK((insn->mem.displacement & mask) == ((uint64_t)mem->disp.value & mask));
    CHECK(insn->mem.rip_relative ==
          (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP));
}

/* BT and its like: SDM 2A "Bit(BitBase, BitOffset)": operand's width times the rounded quotient. */
static uint64_t bit_displacement(const struct insn *insn, const uint64_t regs[16])
{
    int64_t width = 8 * insn->size;
    int64_t number, quotient;

    if (insn->op != INSN_ALU_MEM_REG || insn->alu < INSN_BT || insn->alu > INSN_BTC)
        return 0;
    number = (int64_t)insn_sign_extend(regs[insn->reg], insn->size);
    quotient = number / width - (number % width < 0 ? 1 : 0);
    return (uint64_t)quotient * insn->size;
}

static void check_offset(const struct reference *r, const struct insn *insn)
{
    const uint64_t rip = 0x123456789abcdef0;
    ZydisRegisterContext context = {0};
    uint64_t regs[16];
    ZyanU64 expected;

    for (unsigned i = 0; i < 16; i++) {
        regs[i] = 0x9e3779b97f4a7c15 * (i + 1);
        context.values[ZYDIS_REGISTER_RAX + i] = regs[i];
        context.values[ZYDIS_REGISTER_EAX + i] = (uint32_t)regs[i];
        if (i < 8)
            context.values[ZYDIS_REGISTER_AX + i] = (uint16_t)regs[i];
    }
    CHECK(ZYAN_SUCCESS(ZydisCalcAbsoluteAddressEx(&r->insn, r->mem, rip, &context, &expected)));
    expected += bit_displacement(insn, regs);
    CHECK(insn_memory_offset(insn, regs, rip) == (expected & size_mask(insn->mem.address_size)));
}

static bool has_immediate(const struct insn *insn)
{
    return insn->op == INSN_STORE_IMM || insn->op == INSN_ALU_MEM_IMM;
}

static bool ignores_source(const struct insn *insn)
{
    return insn->op == INSN_ALU_MEM_IMM && insn->alu >= INSN_INC && insn->alu <= INSN_NEG;
}

static void check_immediate(const struct reference *r, const struct insn *insn)
{
    uint64_t mask = size_mask(insn->size);

    if (!has_immediate(insn) || ignores_source(insn)) {
        CHECK(insn->immediate == 0);
        return;
    }
    CHECK(r->imm != NULL);
    if (insn->alu >= INSN_BT) /* Zydis does not extend bit numbers and counts */
        mask = 0xff;
    CHECK((insn->immediate & mask) == (r->imm->imm.value.u & mask));
    CHECK(insn->alu >= INSN_BT || insn->immediate == insn_sign_extend(insn->immediate, insn->size));
}

static void check_register(const struct reference *r, const struct insn *insn)
{
    bool by_cl = r->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (r->insn.opcode & 0xfe) == 0xd2;

    if (insn->reg == INSN_NO_REG) {
        CHECK(!insn->high_byte);
        CHECK(has_immediate(insn) || insn->op == INSN_SETCC || insn->op == INSN_CMPXCHG_PAIR ||
              insn->op >= INSN_MOVS);
        return;
    }
    CHECK(r->reg != NULL);
    CHECK(insn->width * 8 == r->reg->size || by_cl);
    CHECK(insn->reg == register_number(r->reg->reg.value));
    CHECK(insn->high_byte ==
          (r->reg->reg.value >= ZYDIS_REGISTER_AH && r->reg->reg.value <= ZYDIS_REGISTER_BH));
}

/* By size: 1, 2, 4, 8 bytes. */
static ZydisMnemonic of_size(const struct insn *insn, ZydisMnemonic b, ZydisMnemonic w,
                             ZydisMnemonic d, ZydisMnemonic q)
{
    return insn->size == 1 ? b : insn->size == 2 ? w : insn->size == 4 ? d : q;
}

static ZydisMnemonic expected_mnemonic(const struct insn *insn, uint8_t opcode)
{
#define M(name) ZYDIS_MNEMONIC_##name
    static const ZydisMnemonic alu[] = {M(ADD), M(OR),  M(ADC),  M(SBB), M(AND), M(SUB),
                                        M(XOR), M(CMP), M(TEST), M(INC), M(DEC), M(NOT),
                                        M(NEG), M(BT),  M(BTS),  M(BTR), M(BTC), M(ROL),
                                        M(ROR), M(RCL), M(RCR),  M(SHL), M(SHR), M(SAR)};
    static const ZydisMnemonic set[] = {M(SETO),  M(SETNO),  M(SETB),  M(SETNB), M(SETZ), M(SETNZ),
                                        M(SETBE), M(SETNBE), M(SETS),  M(SETNS), M(SETP), M(SETNP),
                                        M(SETL),  M(SETNL),  M(SETLE), M(SETNLE)};
    static const ZydisMnemonic cmov[] = {
        M(CMOVO), M(CMOVNO), M(CMOVB), M(CMOVNB), M(CMOVZ), M(CMOVNZ), M(CMOVBE), M(CMOVNBE),
        M(CMOVS), M(CMOVNS), M(CMOVP), M(CMOVNP), M(CMOVL), M(CMOVNL), M(CMOVLE), M(CMOVNLE)};

    switch (insn->op) {
    case INSN_STORE_REG: return opcode == 0xc3 ? M(MOVNTI) : M(MOV);
    case INSN_STORE_IMM:
    case INSN_LOAD: return M(MOV);
    case INSN_LOAD_ZERO: return M(MOVZX);
    case INSN_LOAD_SIGN: return opcode == 0x63 ? M(MOVSXD) : M(MOVSX);
    case INSN_LOAD_SWAP:
    case INSN_STORE_SWAP: return M(MOVBE);
    case INSN_CMOV: return cmov[insn->condition];
    case INSN_SETCC: return set[insn->condition];
    case INSN_XCHG: return M(XCHG);
    case INSN_XADD: return M(XADD);
    case INSN_CMPXCHG: return M(CMPXCHG);
    case INSN_CMPXCHG_PAIR: return insn->size == 4 ? M(CMPXCHG8B) : M(CMPXCHG16B);
    case INSN_STOS: return of_size(insn, M(STOSB), M(STOSW), M(STOSD), M(STOSQ));
    case INSN_LODS: return of_size(insn, M(LODSB), M(LODSW), M(LODSD), M(LODSQ));
    case INSN_SCAS: return of_size(insn, M(SCASB), M(SCASW), M(SCASD), M(SCASQ));
    case INSN_MOVS: return of_size(insn, M(MOVSB), M(MOVSW), M(MOVSD), M(MOVSQ));
    case INSN_CMPS: return of_size(insn, M(CMPSB), M(CMPSW), M(CMPSD), M(CMPSQ));
    case INSN_ALU_MEM_REG:
    case INSN_ALU_MEM_IMM:
    case INSN_ALU_REG_MEM: return alu[insn->alu];
    case INSN_INS:
    case INSN_OUTS: break;
    }
    return ZYDIS_MNEMONIC_INVALID;
#undef M
}

static void check_string(const struct reference *r, const struct insn *insn)
{
    CHECK(is_string_mnemonic(r->insn.mnemonic));
    if ((r->insn.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0)
        CHECK(insn->rep == INSN_REPE);
    if ((r->insn.attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0)
        CHECK(insn->rep == INSN_REPNE);
}

/* Which operand of Zydis' is written must follow from the operation. */
static void check_operation(const struct reference *r, const struct insn *insn)
{
    ZydisOperandActions actions = r->mem->actions;

    CHECK(r->insn.mnemonic == expected_mnemonic(insn, r->insn.opcode));
    CHECK(insn->locked == ((r->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0));
    if (insn_is_string(insn)) {
        check_string(r, insn);
        return;
    }
    CHECK(insn->rep == INSN_NO_REP);
    CHECK(insn_writes(insn) == ((actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0));
    CHECK(insn_reads(insn) == ((actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0));
}

/* Is this one of the forms insn_decode() promises? From the opcode maps, by opcode. */
static bool is_promised_0f(const ZydisDecodedInstruction *insn)
{
    uint8_t opcode = insn->opcode;
    uint8_t digit = insn->raw.modrm.reg;

    if (opcode == 0xba)
        return digit >= 4;
    if (opcode == 0xc7)
        return digit == 1;
    return (opcode & 0xf0) == 0x40 || (opcode & 0xf0) == 0x90 || (opcode & 0xe7) == 0xa3 ||
           (opcode & 0xfe) == 0xb0 || (opcode & 0xfe) == 0xb6 || (opcode & 0xfe) == 0xbe ||
           (opcode & 0xfe) == 0xc0 || insn->mnemonic == ZYDIS_MNEMONIC_MOVNTI;
}

static bool is_promised(const struct reference *r, enum insn_mode mode)
{
    const ZydisDecodedInstruction *insn = &r->insn;
    uint8_t opcode = insn->opcode;
    uint8_t digit = insn->raw.modrm.reg;

    if (r->mem == NULL || insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return is_promised_0f(insn);
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F38)
        return insn->mnemonic == ZYDIS_MNEMONIC_MOVBE;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
        return false;
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    if (opcode == 0xc6 || opcode == 0xc7)
        return digit == 0;
    if (opcode == 0xf6 || opcode == 0xf7)
        return digit < 4;
    if (opcode == 0xfe || opcode == 0xff)
        return digit < 2;
    if (opcode == 0x63)
        return mode == INSN_MODE_64;
    return (opcode >= 0x80 && opcode <= 0x8b && opcode != 0x82) || (opcode & 0xfe) == 0xc0 ||
           (opcode & 0xfc) == 0xd0 || (opcode >= 0xa0 && opcode <= 0xa7) ||
           (opcode >= 0xaa && opcode <= 0xaf);
}

/* A shorter buffer says "truncated" until the instruction is whole, and then the same. */
static void check_prefixes(const uint8_t *code, enum insn_mode mode, const struct insn *whole)
{
    struct insn part;

    for (size_t len = 0; len <= whole->length; len++) {
        bool decoded = insn_decode(code, len, mode, &part);

        CHECK(decoded == (len == whole->length));
        CHECK(part.truncated != decoded);
    }
    CHECK(memcmp(&part, whole, sizeof(part)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reference reference;
    struct insn insn;
    enum insn_mode mode;
    const uint8_t *code;
    size_t len;

    if (size < 1)
        return 0;
    mode = (enum insn_mode)(data[0] % 3);
    len = size - 1;
    code = malloc(len); /* of its exact size, for the address sanitizer */
    CHECK(code != NULL || len == 0);
    if (len != 0)
        memcpy((void *)(uintptr_t)code, data + 1, len);
    reference_decode(&reference, code, len, mode);
    if (insn_decode(code, len, mode, &insn)) {
        CHECK(reference.ok && reference.mem != NULL);
        CHECK(insn.length == reference.insn.length && insn.length <= len);
        check_operation(&reference, &insn);
        check_memory(&reference, &insn, mode);
        check_register(&reference, &insn);
        check_immediate(&reference, &insn);
        check_offset(&reference, &insn);
        check_prefixes(code, mode, &insn);
    } else if (reference.ok) {
        CHECK(!is_promised(&reference, mode));
    }
    free((void *)(uintptr_t)code);
    return 0;
}
