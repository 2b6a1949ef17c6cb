/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Register numbers and bits outside VMX, in the manual's words.
 * Source: SDM 3A "System Architecture Overview", SDM 4 "Model-Specific Registers", SDM 2A "CPUID".
 */
#ifndef ARCH_X86_REGS_H
#define ARCH_X86_REGS_H

/* CR0. SDM 3A "Control Registers". */
#define CR0_PE                0x00000001ull /* [0]  protection enable */
#define CR0_MP                0x00000002ull /* [1]  monitor coprocessor */
#define CR0_EM                0x00000004ull /* [2]  emulation */
#define CR0_TS                0x00000008ull /* [3]  task switched */
#define CR0_ET                0x00000010ull /* [4]  extension type, reads 1 */
#define CR0_NE                0x00000020ull /* [5]  numeric error */
#define CR0_WP                0x00010000ull /* [16] write protect */
#define CR0_AM                0x00040000ull /* [18] alignment mask */
#define CR0_NW                0x20000000ull /* [29] not write-through */
#define CR0_CD                0x40000000ull /* [30] cache disable */
#define CR0_PG                0x80000000ull /* [31] paging */

/* CR4. */
#define CR4_VME               0x00000001ull /* [0]  virtual-8086 extensions */
#define CR4_PVI               0x00000002ull /* [1]  protected-mode virtual interrupts */
#define CR4_TSD               0x00000004ull /* [2]  time-stamp disable */
#define CR4_DE                0x00000008ull /* [3]  debugging extensions */
#define CR4_PSE               0x00000010ull /* [4]  page-size extensions */
#define CR4_PAE               0x00000020ull /* [5]  physical-address extension */
#define CR4_MCE               0x00000040ull /* [6]  machine-check enable */
#define CR4_PGE               0x00000080ull /* [7]  global pages */
#define CR4_PCE               0x00000100ull /* [8]  RDPMC at any privilege level */
#define CR4_OSFXSR            0x00000200ull /* [9]  FXSAVE/FXRSTOR in use */
#define CR4_OSXMMEXCPT        0x00000400ull /* [10] unmasked SIMD exceptions */
#define CR4_UMIP              0x00000800ull /* [11] user-mode instruction prevention */
#define CR4_LA57              0x00001000ull /* [12] 57-bit linear addresses */
#define CR4_VMXE              0x00002000ull /* [13] VMX enable */
#define CR4_SMXE              0x00004000ull /* [14] SMX enable */
#define CR4_FSGSBASE          0x00010000ull /* [16] FS/GS base instructions */
#define CR4_PCIDE             0x00020000ull /* [17] process-context identifiers */
#define CR4_OSXSAVE           0x00040000ull /* [18] XSAVE in use */
#define CR4_SMEP              0x00100000ull /* [20] supervisor-mode execution prevention */
#define CR4_SMAP              0x00200000ull /* [21] supervisor-mode access prevention */
#define CR4_PKE               0x00400000ull /* [22] protection keys */

/* RFLAGS. SDM 1 "EFLAGS Register". */
#define RFLAGS_FIXED          0x00000002ull /* [1]  always 1 */
#define RFLAGS_ZF             0x00000040ull /* [6]  zero */
#define RFLAGS_TF             0x00000100ull /* [8]  trap */
#define RFLAGS_IF             0x00000200ull /* [9]  interrupt enable */
#define RFLAGS_DF             0x00000400ull /* [10] direction */
#define RFLAGS_NT             0x00004000ull /* [14] nested task */
#define RFLAGS_RF             0x00010000ull /* [16] resume */
#define RFLAGS_VM             0x00020000ull /* [17] virtual-8086 mode */
#define RFLAGS_AC             0x00040000ull /* [18] alignment check / access control */

/* MSRs. SDM 4. */
#define MSR_TSC               0x010
#define MSR_PLATFORM_ID       0x017
#define MSR_APIC_BASE         0x01b
#define MSR_FEATURE_CONTROL   0x03a
#define MSR_TSC_ADJUST        0x03b
#define MSR_BIOS_SIGN_ID      0x08b
#define MSR_MTRRCAP           0x0fe
#define MSR_SYSENTER_CS       0x174
#define MSR_SYSENTER_ESP      0x175
#define MSR_SYSENTER_EIP      0x176
#define MSR_MCG_CAP           0x179
#define MSR_MCG_STATUS        0x17a
#define MSR_ARCH_CAPABILITIES 0x10a
#define ARCH_CAP_IBRS_ALL     0x2ull /* [1] enhanced IBRS */
#define MSR_MISC_ENABLE       0x1a0
#define MSR_DEBUGCTL          0x1d9
#define MSR_MTRR_PHYSBASE0    0x200
#define MSR_MTRR_FIX64K_00000 0x250
#define MSR_PAT               0x277
#define MSR_MTRR_DEF_TYPE     0x2ff
#define MSR_TSC_DEADLINE      0x6e0
#define MSR_X2APIC_FIRST      0x800
#define MSR_X2APIC_LAST       0x8ff
#define MSR_EFER              0xc0000080
#define MSR_STAR              0xc0000081
#define MSR_LSTAR             0xc0000082
#define MSR_CSTAR             0xc0000083
#define MSR_FMASK             0xc0000084
#define MSR_FS_BASE           0xc0000100
#define MSR_GS_BASE           0xc0000101
#define MSR_KERNEL_GS_BASE    0xc0000102
#define MSR_TSC_AUX           0xc0000103

/* IA32_APIC_BASE. SDM 3A "Local APIC Status and Location". */
#define APIC_BASE_BSP         0x100ull /* [8]  bootstrap processor */
#define APIC_BASE_EXTD        0x400ull /* [10] x2APIC mode */
#define APIC_BASE_EN          0x800ull /* [11] enabled */

/* IA32_FEATURE_CONTROL. SDM 3C "Enabling and Entering VMX Operation". */
#define FEATURE_CONTROL_LOCK  0x1ull /* [0] locked until reset */
#define FEATURE_CONTROL_VMX   0x4ull /* [2] VMX outside SMX operation */

/* DR7. SDM 3B "Debug Control Register (DR7)". */
#define DR7_LOCAL             0x0155ull /* [8] LE, [6] [4] [2] [0] L3..L0: off in a new task */
#define DR7_GD                0x2000ull /* [13] general detect enable */

/* IA32_EFER. */
#define EFER_SCE              0x001ull /* [0]  SYSCALL */
#define EFER_LME              0x100ull /* [8]  IA-32e mode enable */
#define EFER_LMA              0x400ull /* [10] IA-32e mode active */
#define EFER_NXE              0x800ull /* [11] execute-disable */

/* IA32_PAT after reset: WB WT UC- UC, twice. SDM 3A "Page Attribute Table (PAT)". */
#define PAT_RESET             0x0007040600070406ull
#define PAT_HOST              0x0007040600070106ull /* entry 1 is write-combining */

#endif
