/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Decoder of the instructions with which a guest reaches emulated memory (local APIC, I/O APIC),
 * and the arithmetic to carry them out. Pure: bytes and register values in, a description out.
 *
 * Source: SDM 2A "Instruction Format", SDM 2A-2D the page of each instruction, SDM 2D "Opcode Map".
 */
#ifndef ARCH_X86_INSN_H
#define ARCH_X86_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest instruction, in bytes. SDM 2A "Instruction Prefixes": a longer one is #GP(0). */
#define INSN_MAX_LEN 15u

/* Defaults of the code segment: CS.L, CS.D. Real and virtual-8086 mode are INSN_MODE_16. */
enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

/* General registers as instructions encode them; 8..15 are R8..R15. */
enum insn_reg {
    INSN_RAX = 0,
    INSN_RCX = 1,
    INSN_RDX = 2,
    INSN_RBX = 3,
    INSN_RSP = 4,
    INSN_RBP = 5,
    INSN_RSI = 6,
    INSN_RDI = 7,
    INSN_NO_REG = 0xff,
};

/* Segment registers as instructions encode them. */
enum insn_segment { INSN_ES, INSN_CS, INSN_SS, INSN_DS, INSN_FS, INSN_GS };

/* What an instruction does with its memory operand; those from INSN_STOS on are strings, which
 * step rSI and rDI. */
enum insn_op {
    INSN_STORE_REG,    /* memory = register                                    MOV, MOVNTI     */
    INSN_STORE_IMM,    /* memory = immediate                                   MOV             */
    INSN_STORE_SWAP,   /* memory = register, bytes in reverse order            MOVBE           */
    INSN_LOAD,         /* register = memory                                    MOV             */
    INSN_LOAD_ZERO,    /* register = memory, zero-extended from size to width  MOVZX           */
    INSN_LOAD_SIGN,    /* register = memory, sign-extended from size to width  MOVSX, MOVSXD   */
    INSN_LOAD_SWAP,    /* register = memory, bytes in reverse order            MOVBE           */
    INSN_CMOV,         /* register = memory if the condition holds             CMOVcc          */
    INSN_SETCC,        /* memory = whether the condition holds                 SETcc           */
    INSN_XCHG,         /* register and memory change places, always atomic     XCHG            */
    INSN_XADD,         /* the same, then memory = memory + register            XADD            */
    INSN_CMPXCHG,      /* if rAX = memory memory = register, else rAX = memory CMPXCHG         */
    INSN_CMPXCHG_PAIR, /* the same with rDX:rAX and rCX:rBX; size is that of a half            */
    INSN_ALU_MEM_REG,  /* memory = memory alu register                                         */
    INSN_ALU_MEM_IMM,  /* memory = memory alu immediate                                        */
    INSN_ALU_REG_MEM,  /* register = register alu memory                                       */
    INSN_STOS,         /* ES:rDI = rAX                                                         */
    INSN_LODS,         /* rAX = segment:rSI                                                    */
    INSN_SCAS,         /* flags of rAX - ES:rDI                                                */
    INSN_MOVS,         /* ES:rDI = segment:rSI                                                 */
    INSN_CMPS,         /* flags of segment:rSI - ES:rDI                                        */
    INSN_INS,          /* ES:rDI = port rDX; never decoded: its exit tells what it is          */
    INSN_OUTS,         /* port rDX = segment:rSI; never decoded                                */
};

/* Arithmetic; the first eight as in opcode bits [5:3] and as /digit of 80, 81 and 83. */
enum insn_alu_op {
    INSN_ADD = 0,
    INSN_OR = 1,
    INSN_ADC = 2,
    INSN_SBB = 3,
    INSN_AND = 4,
    INSN_SUB = 5,
    INSN_XOR = 6,
    INSN_CMP = 7,
    INSN_TEST,
    INSN_INC, /* from here to NEG the source does not count */
    INSN_DEC,
    INSN_NOT,
    INSN_NEG,
    INSN_BT, /* source: number of the bit, modulo the operand's width */
    INSN_BTS,
    INSN_BTR,
    INSN_BTC,
    INSN_ROL, /* source: the count, of which bits [4:0] count, with 8 bytes [5:0] */
    INSN_ROR,
    INSN_RCL,
    INSN_RCR,
    INSN_SHL,
    INSN_SHR,
    INSN_SAR,
};

/* F3 and F2; the last of them counts. STOS, LODS and MOVS take both as REP. */
enum insn_rep { INSN_NO_REP, INSN_REPE, INSN_REPNE };

/* Where the memory operand is. The segment's base is the caller's to add. */
struct insn_memory {
    enum insn_segment segment; /* the one in force: by override, or SS for rSP and rBP, else DS */
    uint8_t base;              /* enum insn_reg or 8..15; INSN_NO_REG: none                   */
    uint8_t index;             /* likewise                                                    */
    uint8_t scale;             /* 1, 2, 4, 8; of the index, 1 without one                     */
    uint8_t address_size;      /* bytes: 2, 4, 8; the offset wraps there                      */
    bool rip_relative;         /* the base is the address of the next instruction             */
    uint64_t displacement;     /* sign-extended; the offset of MOV A0-A3 is zero-extended     */
};

struct insn {
    enum insn_op op;
    enum insn_alu_op alu;   /* INSN_ALU_*: which; else 0                                        */
    enum insn_rep rep;      /* strings: repeats rCX times (address_size bytes of it)            */
    uint8_t length;         /* bytes of the instruction, 1..15                                  */
    uint8_t size;           /* bytes of the memory access: 1, 2, 4, 8; a pair has two of them   */
    uint8_t width;          /* bytes of the register operand; = size but for LOAD_ZERO and _SIGN */
    uint8_t reg;            /* 0..15; INSN_NO_REG where there is no register beside the memory  */
    uint8_t condition;      /* CMOV, SETCC: as in opcode [3:0]; else 0                          */
    bool high_byte;         /* the operand is AH, CH, DH or BH: bits [15:8] of reg 0..3         */
    bool locked;            /* has a LOCK prefix                                                */
    bool truncated;         /* only if not decoded: more bytes may make it an instruction       */
    uint64_t immediate;     /* *_IMM: sign-extended to 64 bits; else 0                          */
    struct insn_memory mem; /* MOVS, CMPS: the source; ES:rDI is beside it                    */
};

/*
 * Decode one instruction that accesses memory by one of the forms MOV 88-8B A0-A3 C6/0 C7/0,
 * MOVNTI 0FC3, MOVBE 0F38F0 0F38F1, MOVZX 0FB6 0FB7, MOVSX 0FBE 0FBF, MOVSXD 63, CMOVcc 0F40-4F,
 * SETcc 0F90-9F, XCHG 86 87, XADD 0FC0 0FC1, CMPXCHG 0FB0 0FB1, CMPXCHG8B and 16B 0FC7/1, ADD OR
 * ADC SBB AND SUB XOR CMP 00-3B 80 81 83, TEST 84 85 F6/0-1 F7/0-1, NOT and NEG F6/2-3 F7/2-3, INC
 * and DEC FE/0-1 FF/0-1, shifts and rotations C0 C1 D0-D3, BT BTS BTR BTC 0FA3 0FAB 0FB3 0FBB
 * 0FBA/4-7, MOVS CMPS STOS LODS SCAS A4-A7 AA-AF.
 *   bytes, len  the guest's code from CS:RIP on; bytes from INSN_MAX_LEN on are not looked at
 *   mode        defaults of the guest's code segment
 *   out         the instruction; if not decoded only `truncated` means anything
 *   return      false if it is none of those, has no memory operand, is longer than INSN_MAX_LEN,
 *               or is invalid (LOCK where it is not allowed): the guest gets #UD.
 *               With out->truncated, `len` bytes below INSN_MAX_LEN were not enough to tell.
 * F2 and F3 repeat strings and change nothing on the other forms (XACQUIRE, XRELEASE are hints).
 */
bool insn_decode(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out);

static inline bool insn_is_string(const struct insn *insn)
{
    return insn->op >= INSN_STOS;
}

/* What happens to the memory operand. Not for strings. */
bool insn_reads(const struct insn *insn);
bool insn_writes(const struct insn *insn);

/*
 * Carry the instruction out. Not for strings.
 *   gpr     the 16 general registers; those that the instruction writes are changed
 *   memory  in: what was read if insn_reads(), zero-extended; out: what is to be written if
 *           insn_writes(), of which `size` bytes count, of a pair twice as many
 *   rflags  changed as the instruction says
 */
void insn_execute(const struct insn *insn, uint64_t gpr[16], uint64_t memory[2], uint64_t *rflags);

/*
 * Displacement, base and index of a memory operand: insn_memory_offset() of most instructions, but
 * not wrapped. That wraps at 64 KiB or later, so where it is in its page is right in any case.
 */
static inline uint64_t insn_address(const struct insn_memory *mem, const uint64_t regs[16])
{
    uint64_t offset = mem->displacement;

    if (mem->base != INSN_NO_REG)
        offset += regs[mem->base];
    if (mem->index != INSN_NO_REG)
        offset += regs[mem->index] * mem->scale;
    return offset;
}

/*
 * The memory operand's offset in its segment.
 *   regs    the 16 general registers in encoding order; outside 64-bit mode 8..15 are not used
 *   rip     address of the instruction itself
 *   return  the effective address, wrapped at the address size; strings: that of the next item;
 *           BT and its like with a register: of the operand that has the bit, which may be far off
 */
uint64_t insn_memory_offset(const struct insn *insn, const uint64_t regs[16], uint64_t rip);

/*
 * The low `size` bytes of value, sign-extended to 64 bits.
 *   size  1, 2, 4, 8
 */
uint64_t insn_sign_extend(uint64_t value, unsigned size);

/*
 * A register operand's value, zero-extended to 64 bits.
 *   reg        the whole register
 *   width      bytes 1, 2, 4, 8
 *   high_byte  take bits [15:8]; width is 1
 */
uint64_t insn_register_operand(uint64_t reg, unsigned width, bool high_byte);

/*
 * A register after a write of its low `width` bytes: 4 zeroes bits [63:32], 1 and 2 keep the rest.
 *   old    the whole register before
 *   value  its low `width` bytes are written, the rest is not looked at
 *   width  bytes 1, 2, 4, 8
 * Source: SDM 1 "General-Purpose Registers in 64-Bit Mode".
 */
uint64_t insn_merge_register(uint64_t old, uint64_t value, unsigned width);

/* A register after a write of value's low byte to its bits [15:8] (AH, CH, DH, BH). */
uint64_t insn_merge_high_byte(uint64_t old, uint64_t value);

/* Does this operation write its destination? */
static inline bool insn_alu_writes(enum insn_alu_op op)
{
    return op != INSN_CMP && op != INSN_TEST && op != INSN_BT;
}

/*
 * Carry out `dst = dst op src`.
 *   size      bytes 1, 2, 4, 8; bits above are not looked at
 *   dst, src  destination (first) and source operand
 *   rflags    as the operation says; the rest is kept. ADC, SBB, RCL, RCR read CF. AF, undefined
 *             after OR AND XOR TEST and shifts, is cleared, OF is set as by a count of 1.
 *   return    new destination, zero-extended; for CMP, TEST and BT the old one
 */
uint64_t insn_alu(enum insn_alu_op op, unsigned size, uint64_t dst, uint64_t src, uint64_t *rflags);

#endif
