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

/* What an instruction does with its one memory operand. */
enum insn_op {
    INSN_STORE_REG,   /* memory = register                                            MOV  */
    INSN_STORE_IMM,   /* memory = immediate                                           MOV  */
    INSN_LOAD,        /* register = memory                                            MOV  */
    INSN_LOAD_ZERO,   /* register = memory, zero-extended from size to width        MOVZX  */
    INSN_LOAD_SIGN,   /* register = memory, sign-extended from size to width MOVSX(D)      */
    INSN_XCHG,        /* register and memory change places, always atomic            XCHG  */
    INSN_STOS,        /* memory = rAX, then rDI += size, or -= with RFLAGS.DF = 1    STOS  */
    INSN_ALU_MEM_REG, /* memory = memory alu register; CMP and TEST set flags only         */
    INSN_ALU_MEM_IMM, /* memory = memory alu immediate; CMP and TEST set flags only        */
    INSN_ALU_REG_MEM, /* register = register alu memory; CMP sets flags only               */
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
    INSN_TEST = 8,
};

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
    enum insn_alu_op alu; /* INSN_ALU_*: which; else 0                                        */
    uint8_t length;       /* bytes of the instruction, 1..15                                  */
    uint8_t size;         /* bytes of the memory access: 1, 2, 4, 8                           */
    uint8_t width;        /* bytes of the register operand; = size but for LOAD_ZERO and _SIGN */
    uint8_t reg;          /* 0..15; INSN_NO_REG where the other operand is an immediate       */
    bool high_byte;       /* the operand is AH, CH, DH or BH: bits [15:8] of reg 0..3         */
    bool locked;          /* has a LOCK prefix                                                */
    bool rep;             /* INSN_STOS: repeats rCX times (address_size bytes of it)          */
    bool truncated;       /* only if not decoded: more bytes may make it an instruction       */
    uint64_t immediate;   /* *_IMM: sign-extended to 64 bits; else 0                          */
    struct insn_memory mem;
};

/*
 * Decode one instruction that accesses memory by one of the forms MOV 88-8B A0-A3 C6/0 C7/0,
 * MOVZX 0FB6 0FB7, MOVSX 0FBE 0FBF, MOVSXD 63, XCHG 86 87, STOS AA AB, ADD OR ADC SBB AND SUB XOR
 * CMP 00-3B 80 81 83, TEST 84 85 F6/0 F7/0.
 *   bytes, len  the guest's code from CS:RIP on; bytes from INSN_MAX_LEN on are not looked at
 *   mode        defaults of the guest's code segment
 *   out         the instruction; if not decoded only `truncated` means anything
 *   return      false if it is none of those, has no memory operand, is longer than INSN_MAX_LEN,
 *               or is invalid (LOCK where it is not allowed): the guest gets #UD.
 *               With out->truncated, `len` bytes below INSN_MAX_LEN were not enough to tell.
 * F2 and F3 repeat STOS and change nothing on the other forms (XACQUIRE, XRELEASE are hints).
 */
bool insn_decode(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out);

/*
 * The memory operand's offset in its segment.
 *   regs    the 16 general registers in encoding order; outside 64-bit mode 8..15 are not used
 *   rip     address of the instruction itself
 *   return  the effective address, wrapped at the address size; INSN_STOS: that of the first item
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

/* Does this operation write its destination? CMP and TEST do not. */
static inline bool insn_alu_writes(enum insn_alu_op op)
{
    return op != INSN_CMP && op != INSN_TEST;
}

/*
 * Carry out `dst = dst op src`.
 *   size      bytes 1, 2, 4, 8; bits above are not looked at
 *   dst, src  destination (first) and source operand
 *   rflags    CF PF AF ZF SF OF are set by the result, CF is read by ADC and SBB; the rest is
 *             kept. AF, undefined after OR AND XOR TEST, is cleared, as processors do.
 *   return    new destination, zero-extended; for CMP and TEST the old one
 */
uint64_t insn_alu(enum insn_alu_op op, unsigned size, uint64_t dst, uint64_t src, uint64_t *rflags);

#endif
