/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz: arch/x86/insn.c; libraries: -lZydis */
/*
 * The instruction decoder against Zydis: what it accepts, Zydis accepts with the same length,
 * memory access and operands; what Zydis takes for one of our forms, it accepts. Input: a byte for
 * the mode, then code.
 *
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined -I. tests/fuzz/f_insn.c arch/x86/insn.c
 * -lZydis
 */
#include <Zydis/Zydis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86/insn.h"
#include "lib/bits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What Zydis says of the instruction. */
struct reference {
    bool ok;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const ZydisDecodedOperand *mem; /* NULL: none */
    const ZydisDecodedOperand *reg; /* the general register beside it, NULL: none */
    const ZydisDecodedOperand *imm;
};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

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
    for (int i = r->insn.operand_count - 1; i >= 0; i--) { /* the first of each kind remains */
        const ZydisDecodedOperand *o = &r->operands[i];
        bool is_string = r->insn.raw.modrm.offset == 0 && r->insn.operand_count_visible < 2;

        if (o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN && !is_string)
            continue;
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

    CHECK(insn->size == expected_size(r));
    CHECK(insn->mem.address_size * 8 == r->insn.address_width);
    CHECK(insn->mem.segment == expected_segment(r, mode));
    CHECK(insn->mem.base == register_number(mem->base));
    CHECK(insn->mem.index == register_number(mem->index));
    CHECK(insn->mem.scale == (mem->scale == 0 ? 1 : mem->scale));
    CHECK((insn->mem.displacement & mask) == ((uint64_t)mem->disp.value & mask));
    CHECK(insn->mem.rip_relative ==
          (mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP));
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
    CHECK(insn_memory_offset(insn, regs, rip) == (expected & size_mask(insn->mem.address_size)));
}

static void check_register(const struct reference *r, const struct insn *insn)
{
    if (insn->reg == INSN_NO_REG) {
        CHECK(r->imm != NULL && !insn->high_byte);
        CHECK((insn->immediate & size_mask(insn->size)) ==
              (r->imm->imm.value.u & size_mask(insn->size)));
        CHECK(insn->immediate == insn_sign_extend(insn->immediate, insn->size));
        return;
    }
    CHECK(r->reg != NULL && insn->immediate == 0);
    CHECK(insn->width * 8 == r->reg->size);
    CHECK(insn->reg == register_number(r->reg->reg.value));
    CHECK(insn->high_byte ==
          (r->reg->reg.value >= ZYDIS_REGISTER_AH && r->reg->reg.value <= ZYDIS_REGISTER_BH));
}

static ZydisMnemonic expected_mnemonic(const struct insn *insn, uint8_t opcode)
{
    static const ZydisMnemonic alu[] = {
        ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_OR,  ZYDIS_MNEMONIC_ADC,
        ZYDIS_MNEMONIC_SBB, ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_SUB,
        ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_TEST};

    switch (insn->op) {
    case INSN_STORE_REG:
    case INSN_STORE_IMM:
    case INSN_LOAD: return ZYDIS_MNEMONIC_MOV;
    case INSN_LOAD_ZERO: return ZYDIS_MNEMONIC_MOVZX;
    case INSN_LOAD_SIGN: break;
    case INSN_XCHG: return ZYDIS_MNEMONIC_XCHG;
    case INSN_STOS:
        return insn->size == 1   ? ZYDIS_MNEMONIC_STOSB
               : insn->size == 2 ? ZYDIS_MNEMONIC_STOSW
               : insn->size == 4 ? ZYDIS_MNEMONIC_STOSD
                                 : ZYDIS_MNEMONIC_STOSQ;
    case INSN_ALU_MEM_REG:
    case INSN_ALU_MEM_IMM:
    case INSN_ALU_REG_MEM: return alu[insn->alu];
    }
    return opcode == 0x63 ? ZYDIS_MNEMONIC_MOVSXD : ZYDIS_MNEMONIC_MOVSX;
}

/* Which operand of Zydis' is written must follow from the operation. */
static void check_operation(const struct reference *r, const struct insn *insn)
{
    bool is_alu = insn->op == INSN_ALU_MEM_REG || insn->op == INSN_ALU_MEM_IMM;
    bool writes_memory = insn->op == INSN_STORE_REG || insn->op == INSN_STORE_IMM ||
                         insn->op == INSN_XCHG || insn->op == INSN_STOS ||
                         (is_alu && insn_alu_writes(insn->alu));
    bool reads_memory =
        insn->op != INSN_STORE_REG && insn->op != INSN_STORE_IMM && insn->op != INSN_STOS;
    ZydisOperandActions actions = r->mem->actions;

    CHECK(r->insn.mnemonic == expected_mnemonic(insn, r->insn.opcode));
    CHECK(writes_memory == ((actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0));
    CHECK(reads_memory == ((actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0));
    CHECK(insn->locked == ((r->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0));
    if ((r->insn.attributes & ZYDIS_ATTRIB_HAS_REP) != 0 && insn->op == INSN_STOS)
        CHECK(insn->rep);
    if (insn->rep)
        CHECK(insn->op == INSN_STOS);
}

/* Is this one of the forms insn_decode() promises? From the opcode maps, by opcode. */
static bool is_promised(const struct reference *r, enum insn_mode mode)
{
    const ZydisDecodedInstruction *insn = &r->insn;
    uint8_t opcode = insn->opcode;

    if (r->mem == NULL || insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
        return false;
    if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F)
        return opcode == 0xb6 || opcode == 0xb7 || opcode == 0xbe || opcode == 0xbf;
    if (insn->opcode_map != ZYDIS_OPCODE_MAP_DEFAULT)
        return false;
    if (opcode < 0x40)
        return (opcode & 7) < 4;
    if (opcode == 0xc6 || opcode == 0xc7 || opcode == 0xf6 || opcode == 0xf7)
        return insn->raw.modrm.reg == 0;
    if (opcode == 0x63)
        return mode == INSN_MODE_64;
    return (opcode >= 0x80 && opcode <= 0x8b && opcode != 0x82) ||
           (opcode >= 0xa0 && opcode <= 0xa3) || opcode == 0xaa || opcode == 0xab;
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
        check_offset(&reference, &insn);
        check_prefixes(code, mode, &insn);
    } else if (reference.ok) {
        CHECK(!is_promised(&reference, mode));
    }
    free((void *)(uintptr_t)code);
    return 0;
}
