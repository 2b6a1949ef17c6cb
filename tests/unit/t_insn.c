/* SPDX-License-Identifier: BSD-2-Clause */
/* unit: arch/x86/insn.c */
/*
 * The instruction decoder and the arithmetic of decoded instructions.
 * Expected: SDM 2A "Instruction Format", SDM 2A-2D the instructions' pages. The flags are compared
 * and results are compared
 * with those of the processor the test runs on, for random operands of each form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "arch/x86/insn.h"
#include "lib/bits.h"
#include "lib/compiler.h"

#define M16         INSN_MODE_16
#define M32         INSN_MODE_32
#define M64         INSN_MODE_64

#define RANDOM_RUNS 1000000
#define NATIVE_RUNS 300000
#define STATUS      0x8d5ull /* CF PF AF ZF SF OF */

/* One instruction: mode, bytes in hexadecimal, and what describe() says of it. */
struct sample {
    enum insn_mode mode;
    const char *hex;
    const char *text;
};

/* Registers and addressing forms are written as: OPsize [segment:base+index*scale+disp]address. */
/* clang-format off */
static const struct sample samples[] = {
    /* MOV 88-8B: direction, size */
    {M64, "88 08", "store1 [ds:rax]a8 cl/1"},
    {M64, "89 08", "store4 [ds:rax]a8 rcx/4"},
    {M64, "8a 08", "load1 [ds:rax]a8 cl/1"},
    {M64, "8b 08", "load4 [ds:rax]a8 rcx/4"},
    {M32, "89 08", "store4 [ds:rax]a4 rcx/4"},
    {M32, "8b 3a", "load4 [ds:rdx]a4 rdi/4"},
    {M16, "89 07", "store2 [ds:rbx]a2 rax/2"},
    {M16, "8b 07", "load2 [ds:rbx]a2 rax/2"},
    /* operand size: 66, REX.W, both */
    {M64, "66 89 08", "store2 [ds:rax]a8 rcx/2"},
    {M64, "48 89 08", "store8 [ds:rax]a8 rcx/8"},
    {M64, "66 48 89 08", "store8 [ds:rax]a8 rcx/8"},
    {M64, "66 88 08", "store1 [ds:rax]a8 cl/1"},
    {M64, "48 88 08", "store1 [ds:rax]a8 cl/1"},
    {M32, "66 8b 08", "load2 [ds:rax]a4 rcx/2"},
    {M32, "66 66 8b 08", "load2 [ds:rax]a4 rcx/2"},
    {M16, "66 8b 07", "load4 [ds:rbx]a2 rax/4"},
    /* byte registers: 4-7 are AH CH DH BH without REX, SPL BPL SIL DIL with any REX */
    {M64, "88 20", "store1 [ds:rax]a8 ah/1"},
    {M64, "8a 28", "load1 [ds:rax]a8 ch/1"},
    {M32, "8a 30", "load1 [ds:rax]a4 dh/1"},
    {M16, "88 3f", "store1 [ds:rbx]a2 bh/1"},
    {M64, "40 88 20", "store1 [ds:rax]a8 spl/1"},
    {M64, "40 8a 38", "load1 [ds:rax]a8 dil/1"},
    {M64, "44 88 20", "store1 [ds:rax]a8 r12b/1"},
    {M64, "89 20", "store4 [ds:rax]a8 rsp/4"},
    /* REX.R, REX.X, REX.B; the last REX counts; one before a legacy prefix does not */
    {M64, "44 89 08", "store4 [ds:rax]a8 r9/4"},
    {M64, "41 89 08", "store4 [ds:r8]a8 rcx/4"},
    {M64, "42 89 0c 08", "store4 [ds:rax+r9*1]a8 rcx/4"},
    {M64, "4f 8b 7c f5 10", "load8 [ds:r13+r14*8+0x10]a8 r15/8"},
    {M64, "48 44 89 08", "store4 [ds:rax]a8 r9/4"},
    {M64, "48 66 89 08", "store2 [ds:rax]a8 rcx/2"},
    {M64, "41 65 8b 08", "load4 [gs:rax]a8 rcx/4"},
    {M64, "40 67 88 20", "store1 [ds:rax]a4 ah/1"},
    /* 32- and 64-bit addressing: displacements, SIB */
    {M64, "8b 40 7f", "load4 [ds:rax+0x7f]a8 rax/4"},
    {M64, "8b 40 80", "load4 [ds:rax-0x80]a8 rax/4"},
    {M64, "8b 83 b0 00 00 00", "load4 [ds:rbx+0xb0]a8 rax/4"},
    {M64, "8b 83 00 00 00 80", "load4 [ds:rbx-0x80000000]a8 rax/4"},
    {M32, "8b 83 20 00 e0 fe", "load4 [ds:rbx-0x11fffe0]a4 rax/4"},
    {M64, "8b 04 24", "load4 [ss:rsp]a8 rax/4"},
    {M64, "8b 44 24 08", "load4 [ss:rsp+0x8]a8 rax/4"},
    {M64, "41 8b 04 24", "load4 [ds:r12]a8 rax/4"},
    {M64, "8b 45 00", "load4 [ss:rbp]a8 rax/4"},
    {M64, "41 8b 45 00", "load4 [ds:r13]a8 rax/4"},
    {M64, "8b 04 88", "load4 [ds:rax+rcx*4]a8 rax/4"},
    {M64, "8b 04 68", "load4 [ds:rax+rbp*2]a8 rax/4"},
    {M64, "8b 04 e0", "load4 [ds:rax]a8 rax/4"},
    {M64, "8b 44 cd f8", "load4 [ss:rbp+rcx*8-0x8]a8 rax/4"},
    {M64, "8b 84 8b 78 56 34 12", "load4 [ds:rbx+rcx*4+0x12345678]a8 rax/4"},
    {M64, "8b 04 25 00 00 e0 fe", "load4 [ds:-0x1200000]a8 rax/4"},
    {M64, "8b 04 8d 10 00 00 00", "load4 [ds:rcx*4+0x10]a8 rax/4"},
    {M64, "41 8b 04 25 10 00 00 00", "load4 [ds:+0x10]a8 rax/4"},
    {M64, "42 8b 04 25 10 00 00 00", "load4 [ds:r12*1+0x10]a8 rax/4"},
    {M32, "8b 0c 24", "load4 [ss:rsp]a4 rcx/4"},
    {M32, "8b 0d 80 00 e0 fe", "load4 [ds:-0x11fff80]a4 rcx/4"},
    /* RIP-relative: 64-bit mode only, with any REX.B, not through SIB */
    {M64, "8b 05 10 00 00 00", "load4 [ds:rip+0x10]a8 rax/4"},
    {M64, "41 8b 05 f0 ff ff ff", "load4 [ds:rip-0x10]a8 rax/4"},
    {M64, "67 89 05 10 00 00 00", "store4 [ds:rip+0x10]a4 rax/4"},
    {M64, "c7 05 10 00 00 00 78 56 34 12", "store_imm4 [ds:rip+0x10]a8 imm=0x12345678"},
    /* 16-bit addressing */
    {M16, "8b 00", "load2 [ds:rbx+rsi*1]a2 rax/2"},
    {M16, "8b 01", "load2 [ds:rbx+rdi*1]a2 rax/2"},
    {M16, "8b 02", "load2 [ss:rbp+rsi*1]a2 rax/2"},
    {M16, "8b 03", "load2 [ss:rbp+rdi*1]a2 rax/2"},
    {M16, "8b 04", "load2 [ds:rsi]a2 rax/2"},
    {M16, "8b 05", "load2 [ds:rdi]a2 rax/2"},
    {M16, "8b 06 34 12", "load2 [ds:+0x1234]a2 rax/2"},
    {M16, "8b 46 fe", "load2 [ss:rbp-0x2]a2 rax/2"},
    {M16, "8b 86 00 80", "load2 [ss:rbp-0x8000]a2 rax/2"},
    {M16, "8b 47 10", "load2 [ds:rbx+0x10]a2 rax/2"},
    {M16, "8b 87 34 12", "load2 [ds:rbx+0x1234]a2 rax/2"},
    /* 67 */
    {M16, "67 8b 03", "load2 [ds:rbx]a4 rax/2"},
    {M16, "66 67 8b 04 24", "load4 [ss:rsp]a4 rax/4"},
    {M16, "67 66 8b 0d f0 00 e0 fe", "load4 [ds:-0x11fff10]a4 rcx/4"},
    {M32, "67 8b 03", "load4 [ss:rbp+rdi*1]a2 rax/4"},
    {M32, "67 8b 06 34 12", "load4 [ds:+0x1234]a2 rax/4"},
    {M64, "67 8b 03", "load4 [ds:rbx]a4 rax/4"},
    /* segments: the last counts; in 64-bit mode only FS and GS do */
    {M32, "26 8b 03", "load4 [es:rbx]a4 rax/4"},
    {M32, "2e 8b 03", "load4 [cs:rbx]a4 rax/4"},
    {M32, "36 8b 03", "load4 [ss:rbx]a4 rax/4"},
    {M32, "3e 8b 04 24", "load4 [ds:rsp]a4 rax/4"},
    {M32, "64 8b 03", "load4 [fs:rbx]a4 rax/4"},
    {M32, "65 8b 03", "load4 [gs:rbx]a4 rax/4"},
    {M32, "64 26 8b 03", "load4 [es:rbx]a4 rax/4"},
    {M16, "2e 8b 46 00", "load2 [cs:rbp]a2 rax/2"},
    {M64, "64 8b 03", "load4 [fs:rbx]a8 rax/4"},
    {M64, "65 48 8b 04 25 00 00 00 00", "load8 [gs:+0x0]a8 rax/8"},
    {M64, "26 8b 03", "load4 [ds:rbx]a8 rax/4"},
    {M64, "2e 8b 03", "load4 [ds:rbx]a8 rax/4"},
    {M64, "36 8b 03", "load4 [ds:rbx]a8 rax/4"},
    {M64, "3e 8b 04 24", "load4 [ss:rsp]a8 rax/4"},
    {M64, "64 3e 8b 03", "load4 [fs:rbx]a8 rax/4"},
    /* F2, F3 and prefixes up to 15 bytes */
    {M64, "f3 89 08", "store4 [ds:rax]a8 rcx/4"},
    {M64, "f2 89 08", "store4 [ds:rax]a8 rcx/4"},
    {M64, "66 66 66 66 66 66 66 66 66 66 66 66 66 8b 08", "load2 [ds:rax]a8 rcx/2"},
    {M64, "65 67 66 f2 81 84 48 78 56 34 12 34 12",
     "add_mi2 [gs:rax+rcx*2+0x12345678]a4 imm=0x1234"},
    /* MOV with an offset */
    {M64, "a0 88 77 66 55 44 33 22 11", "load1 [ds:+0x1122334455667788]a8 al/1"},
    {M64, "48 a1 88 77 66 55 44 33 22 f1", "load8 [ds:-0xeddccbbaa998878]a8 rax/8"},
    {M64, "67 a3 20 00 e0 fe", "store4 [ds:+0xfee00020]a4 rax/4"},
    {M64, "65 a2 88 77 66 55 44 33 22 11", "store1 [gs:+0x1122334455667788]a8 al/1"},
    {M64, "41 a1 88 77 66 55 44 33 22 11", "load4 [ds:+0x1122334455667788]a8 rax/4"},
    {M32, "a1 b0 00 e0 fe", "load4 [ds:+0xfee000b0]a4 rax/4"},
    {M32, "66 a3 b0 00 e0 fe", "store2 [ds:+0xfee000b0]a4 rax/2"},
    {M32, "67 a1 f0 ff", "load4 [ds:+0xfff0]a2 rax/4"},
    {M16, "26 a2 f0 ff", "store1 [es:+0xfff0]a2 al/1"},
    /* MOV immediate */
    {M64, "c6 00 80", "store_imm1 [ds:rax]a8 imm=0xffffffffffffff80"},
    {M64, "c7 00 00 00 00 80", "store_imm4 [ds:rax]a8 imm=0xffffffff80000000"},
    {M64, "48 c7 00 00 00 00 80", "store_imm8 [ds:rax]a8 imm=0xffffffff80000000"},
    {M64, "66 c7 00 ff 7f", "store_imm2 [ds:rax]a8 imm=0x7fff"},
    {M32, "c7 05 b0 00 e0 fe 00 00 00 00", "store_imm4 [ds:-0x11fff50]a4 imm=0x0"},
    {M16, "c7 06 34 12 78 56", "store_imm2 [ds:+0x1234]a2 imm=0x5678"},
    {M16, "66 c7 06 34 12 78 56 34 12", "store_imm4 [ds:+0x1234]a2 imm=0x12345678"},
    {M64, "44 c6 00 01", "store_imm1 [ds:rax]a8 imm=0x1"},
    /* MOVZX, MOVSX, MOVSXD */
    {M64, "0f b6 08", "load_zero1 [ds:rax]a8 rcx/4"},
    {M64, "66 0f b6 08", "load_zero1 [ds:rax]a8 rcx/2"},
    {M64, "4c 0f b6 20", "load_zero1 [ds:rax]a8 r12/8"},
    {M64, "0f b6 20", "load_zero1 [ds:rax]a8 rsp/4"},
    {M64, "0f b7 08", "load_zero2 [ds:rax]a8 rcx/4"},
    {M64, "48 0f b7 08", "load_zero2 [ds:rax]a8 rcx/8"},
    {M32, "0f be 08", "load_sign1 [ds:rax]a4 rcx/4"},
    {M16, "0f be 0f", "load_sign1 [ds:rbx]a2 rcx/2"},
    {M16, "66 0f bf 0f", "load_sign2 [ds:rbx]a2 rcx/4"},
    {M64, "48 0f bf 08", "load_sign2 [ds:rax]a8 rcx/8"},
    {M64, "48 63 08", "load_sign4 [ds:rax]a8 rcx/8"},
    {M64, "63 08", "load_sign4 [ds:rax]a8 rcx/4"},
    {M64, "66 63 08", "load_sign2 [ds:rax]a8 rcx/2"},
    /* XCHG */
    {M64, "86 20", "xchg1 [ds:rax]a8 ah/1"},
    {M64, "87 08", "xchg4 [ds:rax]a8 rcx/4"},
    {M64, "f0 48 87 08", "xchg8 [ds:rax]a8 rcx/8 lock"},
    {M32, "f2 f0 87 08", "xchg4 [ds:rax]a4 rcx/4 lock"},
    /* MOVNTI, MOVBE */
    {M64, "0f c3 08", "store4 [ds:rax]a8 rcx/4"},
    {M64, "48 0f c3 08", "store8 [ds:rax]a8 rcx/8"},
    {M16, "0f c3 0f", "store4 [ds:rbx]a2 rcx/4"},
    {M64, "0f 38 f0 08", "load_swap4 [ds:rax]a8 rcx/4"},
    {M64, "66 0f 38 f1 08", "store_swap2 [ds:rax]a8 rcx/2"},
    {M64, "4d 0f 38 f1 48 10", "store_swap8 [ds:r8+0x10]a8 r9/8"},
    /* CMOVcc, SETcc */
    {M64, "0f 44 08", "cmov4 [ds:rax]a8 rcx/4 cc=4"},
    {M64, "66 0f 4f 08", "cmov2 [ds:rax]a8 rcx/2 cc=15"},
    {M64, "48 0f 40 08", "cmov8 [ds:rax]a8 rcx/8 cc=0"},
    {M64, "0f 95 00", "set1 [ds:rax]a8 cc=5"},
    {M32, "0f 92 38", "set1 [ds:rax]a4 cc=2"},
    /* XADD, CMPXCHG */
    {M64, "0f c0 20", "xadd1 [ds:rax]a8 ah/1"},
    {M64, "f0 0f c1 08", "xadd4 [ds:rax]a8 rcx/4 lock"},
    {M64, "0f b0 08", "cmpxchg1 [ds:rax]a8 cl/1"},
    {M64, "f0 48 0f b1 08", "cmpxchg8 [ds:rax]a8 rcx/8 lock"},
    {M64, "0f c7 08", "pair4 [ds:rax]a8"},
    {M32, "f0 66 0f c7 08", "pair4 [ds:rax]a4 lock"},
    {M64, "48 0f c7 08", "pair8 [ds:rax]a8"},
    /* STOS: always ES */
    {M64, "aa", "stos1 [es:rdi]a8 al/1"},
    {M64, "ab", "stos4 [es:rdi]a8 rax/4"},
    {M64, "f3 48 ab", "stos8 [es:rdi]a8 rax/8 rep"},
    {M64, "f2 aa", "stos1 [es:rdi]a8 al/1 repne"},
    {M64, "f2 f3 aa", "stos1 [es:rdi]a8 al/1 rep"},
    {M64, "64 67 ab", "stos4 [es:rdi]a4 rax/4"},
    {M32, "f3 67 66 ab", "stos2 [es:rdi]a2 rax/2 rep"},
    {M16, "2e ab", "stos2 [es:rdi]a2 rax/2"},
    /* SCAS, LODS, MOVS, CMPS: the override is for rSI */
    {M64, "65 ae", "scas1 [es:rdi]a8 al/1"},
    {M64, "f2 48 af", "scas8 [es:rdi]a8 rax/8 repne"},
    {M64, "65 ac", "lods1 [gs:rsi]a8 al/1"},
    {M16, "66 ad", "lods4 [ds:rsi]a2 rax/4"},
    {M64, "a4", "movs1 [ds:rsi]a8"},
    {M32, "f3 26 67 a5", "movs4 [es:rsi]a2 rep"},
    {M64, "48 a5", "movs8 [ds:rsi]a8"},
    {M64, "f3 66 a7", "cmps2 [ds:rsi]a8 rep"},
    {M32, "f2 a6", "cmps1 [ds:rsi]a4 repne"},
    /* arithmetic 00-3B */
    {M64, "00 08", "add_mr1 [ds:rax]a8 cl/1"},
    {M64, "01 08", "add_mr4 [ds:rax]a8 rcx/4"},
    {M64, "02 20", "add_rm1 [ds:rax]a8 ah/1"},
    {M64, "03 08", "add_rm4 [ds:rax]a8 rcx/4"},
    {M64, "48 09 08", "or_mr8 [ds:rax]a8 rcx/8"},
    {M64, "0b 08", "or_rm4 [ds:rax]a8 rcx/4"},
    {M64, "11 08", "adc_mr4 [ds:rax]a8 rcx/4"},
    {M64, "1b 08", "sbb_rm4 [ds:rax]a8 rcx/4"},
    {M32, "66 21 08", "and_mr2 [ds:rax]a4 rcx/2"},
    {M16, "29 07", "sub_mr2 [ds:rbx]a2 rax/2"},
    {M64, "33 08", "xor_rm4 [ds:rax]a8 rcx/4"},
    {M64, "39 08", "cmp_mr4 [ds:rax]a8 rcx/4"},
    {M64, "3a 08", "cmp_rm1 [ds:rax]a8 cl/1"},
    {M64, "3b 08", "cmp_rm4 [ds:rax]a8 rcx/4"},
    /* arithmetic 80 81 83, TEST 84 85 F6 F7 */
    {M64, "80 08 80", "or_mi1 [ds:rax]a8 imm=0xffffffffffffff80"},
    {M64, "81 20 ff ff fe ff", "and_mi4 [ds:rax]a8 imm=0xfffffffffffeffff"},
    {M64, "48 81 28 00 00 00 80", "sub_mi8 [ds:rax]a8 imm=0xffffffff80000000"},
    {M64, "66 83 30 ff", "xor_mi2 [ds:rax]a8 imm=0xffffffffffffffff"},
    {M64, "44 83 38 01", "cmp_mi4 [ds:rax]a8 imm=0x1"},
    {M64, "83 10 01", "adc_mi4 [ds:rax]a8 imm=0x1"},
    {M64, "f0 83 0b 10", "or_mi4 [ds:rbx]a8 imm=0x10 lock"},
    {M64, "f0 01 08", "add_mr4 [ds:rax]a8 rcx/4 lock"},
    {M32, "f0 19 08", "sbb_mr4 [ds:rax]a4 rcx/4 lock"},
    {M64, "84 08", "test_mr1 [ds:rax]a8 cl/1"},
    {M64, "48 85 08", "test_mr8 [ds:rax]a8 rcx/8"},
    {M64, "f6 00 80", "test_mi1 [ds:rax]a8 imm=0xffffffffffffff80"},
    {M64, "f7 80 00 03 00 00 00 10 00 00", "test_mi4 [ds:rax+0x300]a8 imm=0x1000"},
    {M16, "f7 07 00 10", "test_mi2 [ds:rbx]a2 imm=0x1000"},
    {M64, "f6 08 01", "test_mi1 [ds:rax]a8 imm=0x1"},
    {M64, "f7 48 10 00 00 00 80", "test_mi4 [ds:rax+0x10]a8 imm=0xffffffff80000000"},
    /* NOT, NEG, INC, DEC */
    {M64, "f6 10", "not1 [ds:rax]a8 imm=0x0"},
    {M64, "f0 48 f7 18", "neg8 [ds:rax]a8 imm=0x0 lock"},
    {M64, "fe 00", "inc1 [ds:rax]a8 imm=0x0"},
    {M64, "f0 ff 08", "dec4 [ds:rax]a8 imm=0x0 lock"},
    {M16, "66 ff 07", "inc4 [ds:rbx]a2 imm=0x0"},
    /* shifts and rotations */
    {M64, "c0 00 83", "rol1 [ds:rax]a8 imm=0xffffffffffffff83"},
    {M64, "48 c1 28 04", "shr8 [ds:rax]a8 imm=0x4"},
    {M64, "d1 10", "rcl4 [ds:rax]a8 imm=0x1"},
    {M64, "d0 18", "rcr1 [ds:rax]a8 imm=0x1"},
    {M64, "d3 38", "sar4 [ds:rax]a8 rcx/4"},
    {M64, "d2 08", "ror1 [ds:rax]a8 cl/1"},
    {M64, "d3 20", "shl4 [ds:rax]a8 rcx/4"},
    {M64, "d3 30", "shl4 [ds:rax]a8 rcx/4"},
    /* BT, BTS, BTR, BTC */
    {M64, "0f a3 08", "bt_mr4 [ds:rax]a8 rcx/4"},
    {M64, "f0 0f ab 08", "bts_mr4 [ds:rax]a8 rcx/4 lock"},
    {M64, "48 0f b3 08", "btr_mr8 [ds:rax]a8 rcx/8"},
    {M64, "66 0f bb 08", "btc_mr2 [ds:rax]a8 rcx/2"},
    {M64, "0f ba 20 1f", "bt4 [ds:rax]a8 imm=0x1f"},
    {M64, "f0 0f ba 28 07", "bts4 [ds:rax]a8 imm=0x7 lock"},
    {M64, "48 0f ba 30 3f", "btr8 [ds:rax]a8 imm=0x3f"},
    {M64, "66 0f ba 38 80", "btc2 [ds:rax]a8 imm=0xffffffffffffff80"},
};
/* clang-format on */

/* Whole instructions that are not ours; the text says why. */
/* clang-format off */
static const struct sample refused[] = {
    {M64, "89 c8", "register form"},
    {M64, "0f b6 c8", "register form"},
    {M64, "86 c8", "register form"},
    {M64, "c7 c0 00 00 00 00", "register form"},
    {M64, "83 c0 01", "register form"},
    {M64, "c7 f8 00 00 00 00", "XBEGIN"},
    {M64, "c6 f8 00", "XABORT"},
    {M64, "c6 08 00", "C6 /1"},
    {M64, "c7 38 00 00 00 00", "C7 /7"},
    {M64, "8c 08", "MOV from a segment register"},
    {M64, "8d 08", "LEA"},
    {M64, "8f 00", "POP"},
    {M64, "ff 10", "CALL"},
    {M64, "ff 30", "PUSH"},
    {M64, "fe 10", "FE /2"},
    {M64, "f6 20", "MUL"},
    {M64, "f7 38", "IDIV"},
    {M64, "0f ba 18 01", "0F BA /3"},
    {M64, "0f c7 30", "VMPTRLD"},
    {M64, "0f c7 c8", "register form"},
    {M64, "66 0f c3 08", "66 MOVNTI"},
    {M64, "f3 0f c3 08", "F3 MOVNTI"},
    {M64, "f2 0f 38 f0 08", "CRC32"},
    {M64, "0f 38 00 08", "PSHUFB"},
    {M64, "0f 6f 08", "MOVQ"},
    {M64, "66 0f 6f 08", "MOVDQA"},
    {M64, "6c", "INSB"},
    {M64, "04 01", "ADD AL, immediate"},
    {M64, "06", "invalid in 64-bit mode"},
    {M32, "06", "PUSH ES"},
    {M64, "82 00 01", "invalid in 64-bit mode"},
    {M32, "63 08", "ARPL"},
    {M16, "63 07", "ARPL"},
    {M32, "48 89 08", "DEC EAX"},
    {M16, "40 88 07", "INC AX"},
    {M64, "c5 f8 77", "VEX"},
    {M64, "62 f1 7c 48 29 00", "EVEX"},
    {M64, "0f 0b", "UD2"},
    {M64, "0f bc 08", "BSF"},
    {M64, "0f 88 00 00 00 00", "JS, not MOV"},
    {M64, "0f 00 08", "STR, not ADD"},
    {M64, "0f aa", "RSM, not STOS"},
    {M64, "b6 08", "MOV DH, not MOVZX"},
    {M64, "be 08 00 00 00", "MOV ESI, not MOVSX"},
    {M64, "a8 01", "TEST AL, immediate"},
    {M64, "90", "NOP"},
    {M64, "cc", "INT3"},
    {M64, "48 cc", "INT3"},
    {M64, "f0 89 08", "LOCK MOV"},
    {M64, "f0 8b 08", "LOCK MOV"},
    {M64, "f0 c7 00 00 00 00 00", "LOCK MOV"},
    {M64, "f0 67 a3 00 00 00 00", "LOCK MOV"},
    {M64, "f0 0f b6 08", "LOCK MOVZX"},
    {M64, "f0 63 08", "LOCK MOVSXD"},
    {M64, "f0 aa", "LOCK STOS"},
    {M64, "f0 a4", "LOCK MOVS"},
    {M64, "f0 d1 00", "LOCK ROL"},
    {M64, "f0 d3 20", "LOCK SHL"},
    {M64, "f0 0f a3 08", "LOCK BT"},
    {M64, "f0 0f ba 20 01", "LOCK BT"},
    {M64, "f0 0f 95 00", "LOCK SETNE"},
    {M64, "f0 0f 44 08", "LOCK CMOVE"},
    {M64, "f0 0f c3 08", "LOCK MOVNTI"},
    {M64, "f0 0f 38 f1 08", "LOCK MOVBE"},
    {M64, "f0 03 08", "LOCK ADD to a register"},
    {M64, "f0 39 08", "LOCK CMP"},
    {M64, "f0 3b 08", "LOCK CMP"},
    {M64, "f0 83 38 00", "LOCK CMP"},
    {M64, "f0 84 08", "LOCK TEST"},
    {M64, "f0 f6 00 01", "LOCK TEST"},
    {M64, "f0 87 c8", "LOCK XCHG of registers"},
    {M64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 8b 08", "16 bytes"},
    {M64, "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", "prefixes only"},
    {M64, "66 66 66 66 66 66 66 66 66 66 66 66 c7 00 00 00 00 00", "immediate past the 15th"},
};
/* clang-format on */

static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                      "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

/* A description of fixed size, grown piece by piece. */
struct text {
    char s[160];
    size_t len;
};

static PRINTF(2, 3) void put(struct text *t, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    t->len += (size_t)vsnprintf(t->s + t->len, sizeof(t->s) - t->len, fmt, args);
    va_end(args);
    assert_true(t->len < sizeof(t->s));
}

static void put_register(struct text *t, const struct insn *insn)
{
    static const char *const high[4] = {"ah", "ch", "dh", "bh"};
    static const char *const bytes[16] = {"al",   "cl",   "dl",   "bl",  "spl",  "bpl",
                                          "sil",  "dil",  "r8b",  "r9b", "r10b", "r11b",
                                          "r12b", "r13b", "r14b", "r15b"};

    assert_true(insn->reg < (insn->high_byte ? 4 : 16));
    if (insn->high_byte)
        put(t, " %s/%u", high[insn->reg], insn->width);
    else
        put(t, " %s/%u", insn->width == 1 ? bytes[insn->reg] : names[insn->reg], insn->width);
}

static void put_memory(struct text *t, const struct insn_memory *mem)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    bool has_base = mem->base != INSN_NO_REG;

    put(t, "[%s:", segments[mem->segment]);
    if (mem->rip_relative)
        put(t, "rip");
    if (has_base)
        put(t, "%s", names[mem->base]);
    if (mem->index != INSN_NO_REG)
        put(t, "%s%s*%u", has_base ? "+" : "", names[mem->index], mem->scale);
    if ((int64_t)mem->displacement < 0)
        put(t, "-0x%llx", 0 - (unsigned long long)mem->displacement);
    else if (mem->displacement != 0 || !has_base)
        put(t, "+0x%llx", (unsigned long long)mem->displacement);
    put(t, "]a%u", mem->address_size);
}

/* All fields of a decoded instruction, in the form of `samples`. */
static void describe(const struct insn *insn, struct text *t)
{
    static const char *const ops[] = {
        "store", "store_imm", "store_swap", "load", "load_zero", "load_sign", "load_swap",
        "cmov",  "set",       "xchg",       "xadd", "cmpxchg",   "pair",      "_mr",
        "_mi",   "_rm",       "stos",       "lods", "scas",      "movs",      "cmps"};
    static const char *const alus[] = {"add",  "or",  "adc", "sbb", "and", "sub", "xor", "cmp",
                                       "test", "inc", "dec", "not", "neg", "bt",  "bts", "btr",
                                       "btc",  "rol", "ror", "rcl", "rcr", "shl", "shr", "sar"};
    static const char *const reps[] = {"", " rep", " repne"};
    bool is_alu = insn->op >= INSN_ALU_MEM_REG && insn->op <= INSN_ALU_REG_MEM;
    bool short_name = is_alu && (insn->alu >= INSN_ROL ||
                                 (insn->alu > INSN_TEST && insn->op == INSN_ALU_MEM_IMM));

    t->len = 0;
    put(t, "%s%s%u ", is_alu ? alus[insn->alu] : "", short_name ? "" : ops[insn->op], insn->size);
    put_memory(t, &insn->mem);
    if (insn->reg != INSN_NO_REG)
        put_register(t, insn);
    else if (insn->op == INSN_STORE_IMM || insn->op == INSN_ALU_MEM_IMM)
        put(t, " imm=0x%llx", (unsigned long long)insn->immediate);
    if (insn->op == INSN_CMOV || insn->op == INSN_SETCC)
        put(t, " cc=%u", insn->condition);
    put(t, "%s%s", insn->locked ? " lock" : "", reps[insn->rep]);
}

static size_t parse_hex(const char *hex, uint8_t *bytes)
{
    size_t len = 0;

    for (const char *p = hex; *p != 0; p += p[2] == ' ' ? 3 : 2) {
        char digits[3] = {p[0], p[1], 0};

        bytes[len++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len;
}

/* Decode from a buffer of exactly len bytes, so that the address sanitizer sees an over-read. */
static bool decode_exact(const uint8_t *bytes, size_t len, enum insn_mode mode, struct insn *out)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    bool known;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    known = insn_decode(len == 0 ? copy + 1 : copy, len, mode, out);
    free(copy);
    return known;
}

static void test_forms_prefixes_and_addressing_are_decoded(void **state)
{
    (void)state;
    assert_true(ARRAY_LEN(samples) >= 80);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint8_t bytes[32];
        size_t len = parse_hex(samples[i].hex, bytes);
        struct insn insn;
        struct text text;

        if (!decode_exact(bytes, len, samples[i].mode, &insn))
            fail_msg("refused: %s", samples[i].hex);
        describe(&insn, &text);
        if (strcmp(text.s, samples[i].text) != 0)
            fail_msg("%s: expected %s, got %s", samples[i].hex, samples[i].text, text.s);
        assert_int_equal(insn.length, len);
        assert_false(insn.truncated);
    }
}

static void test_short_buffer_is_told_from_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint8_t bytes[32];
        size_t whole = parse_hex(samples[i].hex, bytes);
        struct insn insn;

        for (size_t len = 0; len < whole; len++) {
            assert_false(decode_exact(bytes, len, samples[i].mode, &insn));
            assert_true(insn.truncated);
        }
    }
}

static void test_bytes_after_the_instruction_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint8_t bytes[64];
        size_t len = parse_hex(samples[i].hex, bytes);
        struct insn insn;
        struct text text;

        memset(bytes + len, 0xf0, sizeof(bytes) - len);
        assert_true(insn_decode(bytes, sizeof(bytes), samples[i].mode, &insn));
        describe(&insn, &text);
        assert_string_equal(text.s, samples[i].text);
        assert_int_equal(insn.length, len);
    }
}

static void test_other_instructions_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        uint8_t bytes[32];
        size_t len = parse_hex(refused[i].hex, bytes);
        struct insn insn;

        if (decode_exact(bytes, len, refused[i].mode, &insn))
            fail_msg("taken: %s (%s)", refused[i].hex, refused[i].text);
        if (insn.truncated)
            fail_msg("truncated: %s (%s)", refused[i].hex, refused[i].text);
    }
}

static void test_lock_is_allowed_on_read_modify_write_only(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 0x40; opcode++) {
        uint8_t bytes[3] = {0xf0, (uint8_t)opcode, 0x00};
        bool is_memory_destination = (opcode & 7) < 2 && opcode < 0x38;
        struct insn insn;

        assert_int_equal(insn_decode(bytes, 3, M32, &insn), is_memory_destination);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1d;
}

static bool is_size(unsigned n)
{
    return n == 1 || n == 2 || n == 4 || n == 8;
}

static void check_ranges(const struct insn *insn, size_t len, enum insn_mode mode)
{
    uint8_t registers = mode == M64 ? 16 : 8;
    uint8_t largest = mode == M64 ? 8 : 4;

    assert_true(insn->length >= 1 && insn->length <= len && insn->length <= INSN_MAX_LEN);
    assert_true(is_size(insn->size) && insn->size <= largest);
    assert_true(is_size(insn->width) && insn->width <= largest && insn->width >= insn->size);
    assert_true(is_size(insn->mem.address_size) && insn->mem.address_size != 1);
    assert_true(is_size(insn->mem.scale));
    assert_true(insn->op <= INSN_CMPS && insn->alu <= INSN_SAR);
    assert_true(insn->condition <= 15 && (insn->rep == INSN_NO_REP || insn_is_string(insn)));
    assert_true(insn->mem.segment <= INSN_GS);
    assert_true(insn->reg < registers || insn->reg == INSN_NO_REG);
    assert_true(insn->mem.base < registers || insn->mem.base == INSN_NO_REG);
    assert_true(insn->mem.index < registers || insn->mem.index == INSN_NO_REG);
    assert_true(!insn->high_byte || (insn->reg < 4 && insn->width == 1));
    assert_false(insn->truncated);
}

/* Half of the bytes are drawn from prefixes and our opcodes, or nothing would be decoded. */
static uint8_t likely_byte(uint64_t random)
{
    static const uint8_t likely[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x64, 0x2e, 0x40, 0x4d, 0x48,
                                     0x88, 0x8b, 0xa1, 0xc6, 0xc7, 0x0f, 0xb6, 0xbf, 0x63, 0x87,
                                     0xab, 0x01, 0x3b, 0x80, 0x81, 0x83, 0x85, 0xf6, 0xf7, 0x04,
                                     0x38, 0xf0, 0xc1, 0xb1, 0xa3, 0xba, 0x95, 0x44, 0xd3, 0xa5};

    return (random & 1) != 0 ? likely[(random >> 1) % ARRAY_LEN(likely)] : (uint8_t)(random >> 8);
}

/* What insn_memory_offset() adds up, but for wrapping: the place in the page is the same. */
static void check_address(const struct insn *insn, uint64_t *seed)
{
    uint64_t regs[16];
    bool is_bit = insn->op == INSN_ALU_MEM_REG && insn->alu >= INSN_BT && insn->alu <= INSN_BTC;

    for (unsigned i = 0; i < 16; i++)
        regs[i] = next_random(seed);
    if (!insn->mem.rip_relative && !is_bit)
        assert_int_equal(
            (insn_address(&insn->mem, regs) ^ insn_memory_offset(insn, regs, 0)) % 4096, 0);
}

static void test_random_bytes_stay_within_bounds(void **state)
{
    uint64_t seed = 0x1234567;
    unsigned decoded = 0;
    uint8_t *buffer = malloc(INSN_MAX_LEN);

    (void)state;
    assert_non_null(buffer);
    for (unsigned run = 0; run < RANDOM_RUNS; run++) {
        size_t len = next_random(&seed) % (INSN_MAX_LEN + 1);
        uint8_t *bytes = buffer + INSN_MAX_LEN - len; /* ends where the allocation ends */
        enum insn_mode mode = (enum insn_mode)(run % 3);
        struct insn insn;

        for (size_t i = 0; i < len; i++)
            bytes[i] = likely_byte(next_random(&seed));
        if (!insn_decode(bytes, len, mode, &insn)) {
            assert_true(len < INSN_MAX_LEN || !insn.truncated);
            continue;
        }
        check_ranges(&insn, len, mode);
        check_address(&insn, &seed);
        decoded++;
    }
    free(buffer);
    assert_true(decoded > RANDOM_RUNS / 20);
}

static uint64_t offset_of(enum insn_mode mode, const char *hex, const uint64_t regs[16])
{
    uint8_t bytes[32];
    size_t len = parse_hex(hex, bytes);
    struct insn insn;

    assert_true(insn_decode(bytes, len, mode, &insn));
    return insn_memory_offset(&insn, regs, 0xffffffff81000000);
}

static void test_memory_offset_adds_the_parts_and_wraps(void **state)
{
    const uint64_t regs[16] = {
        [INSN_RAX] = 0xffffffffff5fc000, [INSN_RCX] = 3, [INSN_RBX] = 0xf000, [INSN_RSI] = 0x2000,
        [INSN_RDI] = 0x100000010,        [13] = 0x1000};

    (void)state;
    assert_int_equal(offset_of(M64, "8b 80 b0 00 00 00", regs), 0xffffffffff5fc0b0);
    assert_int_equal(offset_of(M64, "8b 44 88 f0", regs), 0xffffffffff5fbffc);
    assert_int_equal(offset_of(M64, "43 8b 44 2d 00", regs), 0x2000);
    assert_int_equal(offset_of(M64, "8b 05 10 00 00 00", regs), 0xffffffff81000016);
    assert_int_equal(offset_of(M64, "c7 05 10 00 00 00 01 00 00 00", regs), 0xffffffff8100001a);
    assert_int_equal(offset_of(M64, "67 8b 05 10 00 00 00", regs), 0x81000017);
    assert_int_equal(offset_of(M64, "67 8b 80 b0 00 00 00", regs), 0xff5fc0b0);
    assert_int_equal(offset_of(M64, "8b 04 25 00 00 e0 fe", regs), 0xfffffffffee00000);
    assert_int_equal(offset_of(M32, "8b 05 00 00 e0 fe", regs), 0xfee00000);
    assert_int_equal(offset_of(M16, "8b 00", regs), 0x1000);
    assert_int_equal(offset_of(M64, "a4", regs), 0x2000);
    assert_int_equal(offset_of(M64, "aa", regs), 0x100000010);
    assert_int_equal(offset_of(M32, "aa", regs), 0x10);
}

/* SDM 2A "BT": 2, 4 or 8 bytes times the bit number divided by the width, rounded down. */
static void test_bit_number_in_a_register_moves_the_operand(void **state)
{
    const uint64_t regs[16] = {
        [INSN_RAX] = 0x1000, [INSN_RCX] = 0xffffffff00000021, [INSN_RDX] = 0xffffffffffffffff};

    (void)state;
    assert_int_equal(offset_of(M64, "0f a3 08", regs), 0x1004);
    assert_int_equal(offset_of(M64, "66 0f ab 08", regs), 0x1004);
    assert_int_equal(offset_of(M64, "48 0f b3 08", regs), 0x1000 - 0x20000000 + 8 * 0);
    assert_int_equal(offset_of(M64, "0f bb 10", regs), 0xffc);
    assert_int_equal(offset_of(M64, "66 0f bb 10", regs), 0xffe);
    assert_int_equal(offset_of(M64, "48 0f bb 10", regs), 0xff8);
    assert_int_equal(offset_of(M64, "0f ba 20 ff", regs), 0x1000);
    assert_int_equal(offset_of(M64, "01 10", regs), 0x1000);
}

static void test_sign_extension(void **state)
{
    (void)state;
    assert_int_equal(insn_sign_extend(0x1280, 1), 0xffffffffffffff80);
    assert_int_equal(insn_sign_extend(0x127f, 1), 0x7f);
    assert_int_equal(insn_sign_extend(0x8000, 2), 0xffffffffffff8000);
    assert_int_equal(insn_sign_extend(0x80000000, 4), 0xffffffff80000000);
    assert_int_equal(insn_sign_extend(0xaa7fffffff, 4), 0x7fffffff);
    assert_int_equal(insn_sign_extend(0x8000000000000000, 8), 0x8000000000000000);
}

static void test_register_reads_and_writes_follow_their_width(void **state)
{
    const uint64_t old = 0x1122334455667788;
    const uint64_t value = 0xaabbccddeeff0011;

    (void)state;
    assert_int_equal(insn_merge_register(old, value, 8), value);
    assert_int_equal(insn_merge_register(old, value, 4), 0xeeff0011);
    assert_int_equal(insn_merge_register(old, value, 2), 0x1122334455660011);
    assert_int_equal(insn_merge_register(old, value, 1), 0x1122334455667711);
    assert_int_equal(insn_merge_high_byte(old, value), 0x1122334455661188);
    assert_int_equal(insn_register_operand(old, 8, false), old);
    assert_int_equal(insn_register_operand(old, 4, false), 0x55667788);
    assert_int_equal(insn_register_operand(old, 2, false), 0x7788);
    assert_int_equal(insn_register_operand(old, 1, false), 0x88);
    assert_int_equal(insn_register_operand(old, 1, true), 0x77);
}

/* Results and flags from the SDM's descriptions of the instructions. */
static void test_alu_results_and_flags(void **state)
{
    static const struct {
        enum insn_alu_op op;
        unsigned size;
        uint64_t dst, src, rflags, result, rflags_after;
    } cases[] = {
        {INSN_ADD,  1, 0xff,       0x01,       0x002, 0x00,        0x057}, /* CF PF AF ZF         */
        {INSN_ADD,  1, 0x7f,       0x01,       0x202, 0x80,        0xa92}, /* AF SF OF; IF stays  */
        {INSN_ADD,  4, 0xffffffff, 1,          0x002, 0,           0x057},
        {INSN_ADD,  8, 0xffffffff, 1,          0x002, 0x100000000, 0x016}, /* no carry; PF AF     */
        {INSN_ADC,  2, 0xffff,     0x0000,     0x003, 0,           0x057},
        {INSN_ADC,  2, 0xffff,     0xffff,     0x003, 0xffff,      0x097}, /* CF PF AF SF         */
        {INSN_SBB,  4, 0,          0xffffffff, 0x003, 0,           0x057}, /* 0 - 2^32            */
        {INSN_SUB,  4, 0,          1,          0x002, 0xffffffff,  0x097},
        {INSN_SUB,  1, 0x80,       0x01,       0x002, 0x7f,        0x812}, /* AF OF               */
        {INSN_CMP,  4, 5,          5,          0x002, 5,           0x046}, /* PF ZF; dst returned */
        {INSN_CMP,  8, 1ull << 63, 1,          0x002, 1ull << 63,  0x816}, /* PF AF OF            */
        {INSN_AND,  4, 0xf0f0f0f0, 0xff00ff00, 0x8d7, 0xf000f000,  0x086}, /* CF OF AF cleared  */
        {INSN_OR,   1, 0x00,       0x00,       0x003, 0,           0x046},
        {INSN_XOR,  2, 0x1234,     0x1235,     0x002, 1,           0x002},
        {INSN_TEST, 4, 0x1000,     0x1000,     0x003, 0x1000,      0x006},
        {INSN_TEST, 1, 0x80,       0x180,      0x003, 0x80,        0x082},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t rflags = cases[i].rflags;
        uint64_t result = insn_alu(cases[i].op, cases[i].size, cases[i].dst, cases[i].src, &rflags);

        if (result != cases[i].result || rflags != cases[i].rflags_after)
            fail_msg("case %zu: %#llx, flags %#llx", i, (unsigned long long)result,
                     (unsigned long long)rflags);
    }
}

/* --- the processor as the reference ------------------------------------------------------------
 */

/* What an instruction works on; the asm below has these offsets. RSP is not used. */
struct machine {
    uint64_t gpr[16];
    uint64_t rflags;
};
_Static_assert(offsetof(struct machine, rflags) == 128, "asm");

/* Load all registers, call the code, store them: native_step(machine, code). */
__asm__(".text\n"
        "native_step:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "push %rdi\n push %rsi\n"
        "push 128(%rdi)\n popfq\n"
        "mov 0(%rdi), %rax\n mov 8(%rdi), %rcx\n mov 16(%rdi), %rdx\n mov 24(%rdi), %rbx\n"
        "mov 40(%rdi), %rbp\n mov 48(%rdi), %rsi\n mov 64(%rdi), %r8\n mov 72(%rdi), %r9\n"
        "mov 80(%rdi), %r10\n mov 88(%rdi), %r11\n mov 96(%rdi), %r12\n mov 104(%rdi), %r13\n"
        "mov 112(%rdi), %r14\n mov 120(%rdi), %r15\n mov 56(%rdi), %rdi\n"
        "call *(%rsp)\n"
        "pushfq\n push %rdi\n mov 24(%rsp), %rdi\n"
        "mov %rax, 0(%rdi)\n mov %rcx, 8(%rdi)\n mov %rdx, 16(%rdi)\n mov %rbx, 24(%rdi)\n"
        "mov %rbp, 40(%rdi)\n mov %rsi, 48(%rdi)\n mov %r8, 64(%rdi)\n mov %r9, 72(%rdi)\n"
        "mov %r10, 80(%rdi)\n mov %r11, 88(%rdi)\n mov %r12, 96(%rdi)\n mov %r13, 104(%rdi)\n"
        "mov %r14, 112(%rdi)\n mov %r15, 120(%rdi)\n"
        "pop %rax\n mov %rax, 56(%rdi)\n pop %rax\n mov %rax, 128(%rdi)\n"
        "pop %rsi\n pop %rdi\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "ret\n");
void native_step(struct machine *m, const void *code);

/* What the processor is asked to do: opcodes from .. to, each /digit of a mask, an immediate. */
#define IMM_NONE 0u
#define IMM_BYTE 1u
#define IMM_SIZE 2u /* of the operand, at most 4 */

struct native_form {
    const char *escape; /* bytes before the opcode, in hexadecimal */
    uint8_t from, to, step;
    uint8_t digits; /* which /digits; 0: ModRM.reg is a register */
    uint8_t immediate;
    bool lock; /* may have the prefix */
};

/* clang-format off */
static const struct native_form native_forms[] = {
    {"",      0x00, 0x31, 8, 0,    IMM_NONE, true },
    {"",      0x01, 0x31, 8, 0,    IMM_NONE, true },
    {"",      0x38, 0x39, 1, 0,    IMM_NONE, false},
    {"",      0x02, 0x3a, 8, 0,    IMM_NONE, false},
    {"",      0x03, 0x3b, 8, 0,    IMM_NONE, false},
    {"",      0x63, 0x63, 1, 0,    IMM_NONE, false},
    {"",      0x80, 0x80, 1, 0x7f, IMM_BYTE, true },
    {"",      0x81, 0x81, 1, 0x7f, IMM_SIZE, true },
    {"",      0x83, 0x83, 1, 0x7f, IMM_BYTE, true },
    {"",      0x80, 0x80, 1, 0x80, IMM_BYTE, false},
    {"",      0x81, 0x81, 1, 0x80, IMM_SIZE, false},
    {"",      0x84, 0x85, 1, 0,    IMM_NONE, false},
    {"",      0x86, 0x87, 1, 0,    IMM_NONE, true },
    {"",      0x88, 0x8b, 1, 0,    IMM_NONE, false},
    {"",      0xc0, 0xc1, 1, 0xff, IMM_BYTE, false},
    {"",      0xd0, 0xd3, 1, 0xff, IMM_NONE, false},
    {"",      0xc6, 0xc6, 1, 0x01, IMM_BYTE, false},
    {"",      0xc7, 0xc7, 1, 0x01, IMM_SIZE, false},
    {"",      0xf6, 0xf6, 1, 0x03, IMM_BYTE, false},
    {"",      0xf7, 0xf7, 1, 0x03, IMM_SIZE, false},
    {"",      0xf6, 0xf7, 1, 0x0c, IMM_NONE, true },
    {"",      0xfe, 0xff, 1, 0x03, IMM_NONE, true },
    {"0f",    0x40, 0x4f, 1, 0,    IMM_NONE, false},
    {"0f",    0x90, 0x9f, 1, 0,    IMM_NONE, false},
    {"0f",    0xa3, 0xa3, 1, 0,    IMM_NONE, false},
    {"0f",    0xab, 0xbb, 8, 0,    IMM_NONE, true },
    {"0f",    0xba, 0xba, 1, 0x10, IMM_BYTE, false},
    {"0f",    0xba, 0xba, 1, 0xe0, IMM_BYTE, true },
    {"0f",    0xb0, 0xb1, 1, 0,    IMM_NONE, true },
    {"0f",    0xb6, 0xb7, 1, 0,    IMM_NONE, false},
    {"0f",    0xbe, 0xbf, 1, 0,    IMM_NONE, false},
    {"0f",    0xc0, 0xc1, 1, 0,    IMM_NONE, true },
    {"0f",    0xc3, 0xc3, 1, 0,    IMM_NONE, false},
    {"0f",    0xc7, 0xc7, 1, 0x02, IMM_NONE, true },
    {"0f 38", 0xf0, 0xf1, 1, 0,    IMM_NONE, false},
};
/* clang-format on */

/* Put an instruction with the operand [rbx+displacement] together, and RET behind it. */
static size_t make_code(const struct native_form *form, uint64_t *seed, uint8_t *code)
{
    uint64_t r = next_random(seed);
    bool no_66 = form->from == 0xc3;
    bool wide = (r & 3) == 0;
    bool has_66 = (r & 12) == 0 && !no_66;
    unsigned digit = (unsigned)(r >> 8 & 7);
    size_t len = 0;

    while (form->digits != 0 && (form->digits >> digit & 1) == 0)
        digit = (digit + 1) & 7;
    if (form->lock && (r & 16) != 0)
        code[len++] = 0xf0;
    if (has_66)
        code[len++] = 0x66;
    if (wide || (r & 32) != 0)
        code[len++] = (uint8_t)(0x40 | (wide ? 8 : 0) | (form->digits == 0 ? r >> 16 & 4 : 0));
    len += parse_hex(form->escape, code + len);
    code[len++] = (uint8_t)(form->from +
                            form->step * ((r >> 24) % ((form->to - form->from) / form->step + 1u)));
    code[len++] = (uint8_t)(0x43 | digit << 3);
    code[len++] = (uint8_t)(r >> 40 & 0x30);
    if (form->immediate != IMM_NONE) {
        size_t bytes = form->immediate == IMM_BYTE ? 1 : has_66 && !wide ? 2 : 4;
        uint64_t value = next_random(seed);

        memcpy(code + len, &value, bytes);
        len += bytes;
    }
    code[len] = 0xc3;
    return len;
}

/* Operands near the ends of the ranges, where flags change. */
static uint64_t edge_value(uint64_t random)
{
    static const uint64_t edges[] = {0,         1,          0x7f,       0x80,
                                     0x7fff,    0x8000,     0x7fffffff, 0x80000000,
                                     INT64_MAX, 1ull << 63, ~0ull,      0x0102030405060708};

    return (random & 1) != 0 ? random >> 1 : edges[(random >> 1) % ARRAY_LEN(edges)];
}

/* Status flags that the manual leaves undefined after this instruction. */
static uint64_t undefined_flags(const struct insn *insn, const uint64_t gpr[16])
{
    const uint64_t cf = 0x001, pf = 0x004, af = 0x010, sf = 0x080, of = 0x800;
    bool is_alu = insn->op == INSN_ALU_MEM_REG || insn->op == INSN_ALU_MEM_IMM;
    uint64_t count = insn->op == INSN_ALU_MEM_REG ? gpr[INSN_RCX] : insn->immediate;
    uint64_t flags = 0;

    count &= insn->size == 8 ? 63 : 31;
    if (!is_alu || insn->alu < INSN_BT)
        return 0;
    if (insn->alu <= INSN_BTC)
        return of | sf | af | pf;
    if (count > 1)
        flags |= of;
    if (insn->alu >= INSN_SHL && count > 0)
        flags |= af;
    if ((insn->alu == INSN_SHL || insn->alu == INSN_SHR) && count >= 8u * insn->size)
        flags |= cf;
    return flags;
}

#define BUFFER 512u /* bytes; the operands are around its middle */

/* What exit_mmio does, on a buffer whose middle is at `base`. */
static void emulate(const struct insn *insn, struct machine *m, uint8_t *buffer, uint64_t base)
{
    uint64_t at = insn_memory_offset(insn, m->gpr, 0) - base + BUFFER / 2;
    size_t size = insn->op == INSN_CMPXCHG_PAIR ? 2u * insn->size : insn->size;
    uint64_t memory[2] = {0};

    assert_true(at <= BUFFER - size);
    if (insn_reads(insn))
        memcpy(memory, buffer + at, size);
    insn_execute(insn, m->gpr, memory, &m->rflags);
    if (insn_writes(insn))
        memcpy(buffer + at, memory, size);
}

static void randomize(struct machine *m, uint8_t *buffer, uint64_t *seed)
{
    for (unsigned i = 0; i < 16; i++)
        m->gpr[i] = edge_value(next_random(seed));
    for (unsigned i = 0; i < BUFFER; i += 8) {
        uint64_t value = edge_value(next_random(seed));

        memcpy(buffer + i, &value, 8);
    }
    m->rflags = (next_random(seed) & STATUS) | 0x202;
}

/* A comparison that succeeds is rare among random numbers; a bit number has to stay near. */
static void prepare(const struct insn *insn, struct machine *m, const uint8_t *buffer,
                    uint64_t base, uint64_t random)
{
    uint64_t at = m->gpr[INSN_RBX] + insn->mem.displacement - base + BUFFER / 2;
    uint64_t value;

    if (insn->op == INSN_ALU_MEM_REG && insn->alu >= INSN_BT && insn->alu <= INSN_BTC &&
        insn->reg != INSN_RBX)
        m->gpr[insn->reg] = (uint64_t)((int64_t)(random << 54) >> 54); /* 10 bits, signed */
    if ((insn->op != INSN_CMPXCHG && insn->op != INSN_CMPXCHG_PAIR) || (random & 1) != 0)
        return;
    memcpy(&value, buffer + at, 8);
    m->gpr[INSN_RAX] = insn->op == INSN_CMPXCHG_PAIR && insn->size == 4 ? (uint32_t)value : value;
    memcpy(&value, buffer + at + insn->size, 8);
    m->gpr[INSN_RDX] = value;
}

static bool is_native(const struct insn *insn)
{
    if (insn->op == INSN_LOAD_SWAP || insn->op == INSN_STORE_SWAP)
        return __builtin_cpu_supports("movbe");
    if (insn->op == INSN_CMPXCHG_PAIR && insn->size == 8)
        return __builtin_cpu_supports("cmpxchg16b");
    return !(insn->op == INSN_ALU_MEM_REG && insn->alu >= INSN_BT && insn->alu <= INSN_BTC &&
             insn->reg == INSN_RBX); /* the address as a bit number */
}

static void fail_native(const uint8_t *code, size_t len, const char *what, uint64_t got,
                        uint64_t want)
{
    char hex[64] = "";

    for (size_t i = 0; i < len; i++)
        sprintf(hex + 3 * i, "%02x ", code[i]);
    fail_msg("%s: %s is %#llx, the processor says %#llx", hex, what, (unsigned long long)got,
             (unsigned long long)want);
}

/* One random instruction, by the processor and by insn_execute. */
static void compare_native(const struct native_form *form, uint8_t *code, uint64_t *seed)
{
    static _Alignas(16) uint8_t native[BUFFER];
    static uint8_t emulated[BUFFER];
    uint64_t base = (uintptr_t)native + BUFFER / 2;
    struct machine m, expected;
    struct insn insn;
    size_t len = make_code(form, seed, code);

    if (!insn_decode(code, len, M64, &insn) || insn.length != len)
        fail_native(code, len, "decoded length", insn.length, len);
    if (insn.reg == INSN_RSP || !is_native(&insn))
        return;
    randomize(&m, native, seed);
    m.gpr[INSN_RBX] = base;
    prepare(&insn, &m, native, base, next_random(seed));
    memcpy(emulated, native, BUFFER);
    expected = m;
    uint64_t undefined = undefined_flags(&insn, m.gpr);

    native_step(&expected, code);
    emulate(&insn, &m, emulated, base);
    for (unsigned i = 0; i < 16; i++) {
        if (m.gpr[i] != expected.gpr[i])
            fail_native(code, len, names[i], m.gpr[i], expected.gpr[i]);
    }
    if (((m.rflags ^ expected.rflags) & ~undefined) != 0)
        fail_native(code, len, "RFLAGS", m.rflags, expected.rflags);
    if (memcmp(native, emulated, BUFFER) != 0)
        fail_native(code, len, "memory", 0, 0);
}

static void test_execution_agrees_with_the_processor(void **state)
{
    uint8_t *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t seed = 99;

    (void)state;
    assert_true(code != MAP_FAILED);
    for (unsigned run = 0; run < NATIVE_RUNS; run++)
        compare_native(&native_forms[run % ARRAY_LEN(native_forms)], code, &seed);
    munmap(code, 4096);
}

static void test_memory_accesses_of_each_operation(void **state)
{
    static const struct {
        const char *hex;
        bool reads, writes;
    } cases[] = {
        {"89 08",             false, true },
        {"c7 00 00 00 00 00", false, true },
        {"0f 38 f1 08",       false, true },
        {"8b 08",             true,  false},
        {"0f b6 08",          true,  false},
        {"0f be 08",          true,  false},
        {"0f 38 f0 08",       true,  false},
        {"0f 44 08",          true,  false},
        {"0f 94 00",          false, true },
        {"87 08",             true,  true },
        {"0f c1 08",          true,  true },
        {"0f b1 08",          true,  true },
        {"0f c7 08",          true,  true },
        {"01 08",             true,  true },
        {"39 08",             true,  false},
        {"85 08",             true,  false},
        {"0f a3 08",          true,  false},
        {"0f ab 08",          true,  true },
        {"80 00 01",          true,  true },
        {"80 38 01",          true,  false},
        {"03 08",             true,  false},
        {"d1 00",             true,  true },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t bytes[32] = {0};
        struct insn insn;

        (void)parse_hex(cases[i].hex, bytes);
        assert_true(insn_decode(bytes, sizeof(bytes), M64, &insn));
        assert_int_equal(insn_reads(&insn), cases[i].reads);
        assert_int_equal(insn_writes(&insn), cases[i].writes);
        assert_false(insn_is_string(&insn));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_prefixes_and_addressing_are_decoded),
        cmocka_unit_test(test_short_buffer_is_told_from_unknown),
        cmocka_unit_test(test_bytes_after_the_instruction_do_not_matter),
        cmocka_unit_test(test_other_instructions_are_refused),
        cmocka_unit_test(test_lock_is_allowed_on_read_modify_write_only),
        cmocka_unit_test(test_random_bytes_stay_within_bounds),
        cmocka_unit_test(test_memory_offset_adds_the_parts_and_wraps),
        cmocka_unit_test(test_sign_extension),
        cmocka_unit_test(test_register_reads_and_writes_follow_their_width),
        cmocka_unit_test(test_alu_results_and_flags),
        cmocka_unit_test(test_execution_agrees_with_the_processor),
        cmocka_unit_test(test_memory_accesses_of_each_operation),
        cmocka_unit_test(test_bit_number_in_a_register_moves_the_operand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
