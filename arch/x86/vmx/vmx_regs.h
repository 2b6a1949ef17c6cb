/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VMX in numbers: VMCS field encodings, control bits, exit reasons, capability MSRs.
 * Source: SDM 3C "Virtual Machine Control Structures", SDM 3D "Field Encoding in VMCS" (B), "VMX
 * Basic Exit Reasons" (C), "VMX Capability Reporting Facility" (A).
 */
#ifndef ARCH_X86_VMX_VMX_REGS_H
#define ARCH_X86_VMX_VMX_REGS_H

/* Capability MSRs (A). A TRUE_ variant exists if IA32_VMX_BASIC[55]. */
#define MSR_VMX_BASIC           0x480
#define MSR_VMX_PINBASED        0x481
#define MSR_VMX_PROCBASED       0x482
#define MSR_VMX_EXIT            0x483
#define MSR_VMX_ENTRY           0x484
#define MSR_VMX_MISC            0x485
#define MSR_VMX_CR0_FIXED0      0x486
#define MSR_VMX_CR0_FIXED1      0x487
#define MSR_VMX_CR4_FIXED0      0x488
#define MSR_VMX_CR4_FIXED1      0x489
#define MSR_VMX_PROCBASED2      0x48b
#define MSR_VMX_EPT_VPID_CAP    0x48c
#define MSR_VMX_TRUE_PINBASED   0x48d
#define MSR_VMX_TRUE_PROCBASED  0x48e
#define MSR_VMX_TRUE_EXIT       0x48f
#define MSR_VMX_TRUE_ENTRY      0x490

#define VMX_BASIC_REVISION   0x000000007fffffffull /* [30:0]  VMCS revision identifier */
#define VMX_BASIC_MEMTYPE    0x003c000000000000ull /* [53:50] memory type of VMCSs: 6 = WB */
#define VMX_BASIC_TRUE_CTLS  0x0080000000000000ull /* [55]    TRUE_ MSRs exist */
#define VMX_BASIC_ANY_ERROR  0x0100000000000000ull /* [56]    error code is free for any vector */

#define VMX_MISC_TIMER_SHIFT 0x000000000000001full /* [4:0] preemption timer counts TSC >> this */
#define VMX_MISC_ACTIVITY    0x00000000000001c0ull /* [8:6] activity states 1, 2, 3 are supported */
#define VMX_MISC_CR3_TARGETS 0x0000000001ff0000ull /* [24:16] number of CR3-target values */
#define VMX_MISC_LENGTH0     0x0000000040000000ull /* [30] software events with length 0 */

#define EPT_CAP_WALK4        0x0000000000000040ull /* [6]  page-walk length 4 */
#define EPT_CAP_WALK5        0x0000000000000080ull /* [7]  page-walk length 5 */
#define EPT_CAP_UC           0x0000000000000100ull /* [8]  uncacheable paging structures */
#define EPT_CAP_WB           0x0000000000004000ull /* [14] write-back paging structures */
#define EPT_CAP_2M           0x0000000000010000ull /* [16] 2 MiB pages */
#define EPT_CAP_1G           0x0000000000020000ull /* [17] 1 GiB pages */
#define EPT_CAP_INVEPT       0x0000000000100000ull /* [20] INVEPT */
#define EPT_CAP_AD           0x0000000000200000ull /* [21] accessed and dirty flags */
#define EPT_CAP_SHADOW_STACK 0x0000000000800000ull /* [23] supervisor shadow-stack control */
#define EPT_CAP_INVEPT_ONE   0x0000000002000000ull /* [25] single-context INVEPT */
#define EPT_CAP_INVVPID      0x0000000100000000ull /* [32] INVVPID */
#define EPT_CAP_INVVPID_ONE  0x0000020000000000ull /* [41] single-context INVVPID */

/* Pin-based controls: SDM 3C "Pin-Based VM-Execution Controls". */
#define PIN_EXTERNAL_INTERRUPT 0x00000001u /* [0] external-interrupt exiting */
#define PIN_NMI                0x00000008u /* [3] NMI exiting */
#define PIN_VIRTUAL_NMI        0x00000020u /* [5] virtual NMIs */
#define PIN_PREEMPTION_TIMER   0x00000040u /* [6] activate VMX-preemption timer */
#define PIN_POSTED_INTERRUPTS  0x00000080u /* [7] process posted interrupts */

/* Primary processor-based controls: "Primary Processor-Based VM-Execution Controls". */
#define PROC_IRQ_WINDOW   0x00000004u /* [2]  interrupt-window exiting */
#define PROC_TSC_OFFSET   0x00000008u /* [3]  use TSC offsetting */
#define PROC_HLT          0x00000080u /* [7]  HLT exiting */
#define PROC_INVLPG       0x00000200u /* [9]  INVLPG exiting */
#define PROC_MWAIT        0x00000400u /* [10] MWAIT exiting */
#define PROC_RDPMC        0x00000800u /* [11] RDPMC exiting */
#define PROC_RDTSC        0x00001000u /* [12] RDTSC exiting */
#define PROC_CR3_LOAD     0x00008000u /* [15] CR3-load exiting */
#define PROC_CR3_STORE    0x00010000u /* [16] CR3-store exiting */
#define PROC_CR8_LOAD     0x00080000u /* [19] CR8-load exiting */
#define PROC_CR8_STORE    0x00100000u /* [20] CR8-store exiting */
#define PROC_TPR_SHADOW   0x00200000u /* [21] use TPR shadow */
#define PROC_NMI_WINDOW   0x00400000u /* [22] NMI-window exiting */
#define PROC_MOV_DR       0x00800000u /* [23] MOV-DR exiting */
#define PROC_UNCOND_IO    0x01000000u /* [24] unconditional I/O exiting */
#define PROC_IO_BITMAPS   0x02000000u /* [25] use I/O bitmaps */
#define PROC_MONITOR_TRAP 0x08000000u /* [27] monitor trap flag */
#define PROC_MSR_BITMAPS  0x10000000u /* [28] use MSR bitmaps */
#define PROC_MONITOR      0x20000000u /* [29] MONITOR exiting */
#define PROC_PAUSE        0x40000000u /* [30] PAUSE exiting */
#define PROC_SECONDARY    0x80000000u /* [31] activate secondary controls */

/* Secondary processor-based controls. */
#define PROC2_APIC_ACCESS  0x00000001u /* [0]  virtualize APIC accesses */
#define PROC2_EPT          0x00000002u /* [1]  enable EPT */
#define PROC2_DESCRIPTOR   0x00000004u /* [2]  descriptor-table exiting */
#define PROC2_RDTSCP       0x00000008u /* [3]  enable RDTSCP */
#define PROC2_X2APIC       0x00000010u /* [4]  virtualize x2APIC mode */
#define PROC2_VPID         0x00000020u /* [5]  enable VPID */
#define PROC2_WBINVD       0x00000040u /* [6]  WBINVD exiting */
#define PROC2_UNRESTRICTED 0x00000080u /* [7]  unrestricted guest */
#define PROC2_APIC_REGS    0x00000100u /* [8]  APIC-register virtualization */
#define PROC2_VID          0x00000200u /* [9]  virtual-interrupt delivery */
#define PROC2_INVPCID      0x00001000u /* [12] enable INVPCID */
#define PROC2_XSAVES       0x00100000u /* [20] enable XSAVES/XRSTORS */
#define PROC2_TSC_SCALING  0x02000000u /* [25] use TSC scaling */

/* VM-exit controls. */
#define EXIT_CTL_SAVE_DEBUG 0x00000004u /* [2]  save debug controls */
#define EXIT_CTL_HOST64     0x00000200u /* [9]  host address-space size */
#define EXIT_CTL_ACK        0x00008000u /* [15] acknowledge interrupt on exit */
#define EXIT_CTL_SAVE_PAT   0x00040000u /* [18] save IA32_PAT */
#define EXIT_CTL_LOAD_PAT   0x00080000u /* [19] load IA32_PAT */
#define EXIT_CTL_SAVE_EFER  0x00100000u /* [20] save IA32_EFER */
#define EXIT_CTL_LOAD_EFER  0x00200000u /* [21] load IA32_EFER */
#define EXIT_CTL_SAVE_TIMER 0x00400000u /* [22] save VMX-preemption timer value */

/* VM-entry controls. */
#define ENTRY_CTL_LOAD_DEBUG 0x00000004u /* [2]  load debug controls */
#define ENTRY_CTL_IA32E      0x00000200u /* [9]  IA-32e mode guest */
#define ENTRY_CTL_SMM        0x00000400u /* [10] entry to SMM */
#define ENTRY_CTL_DUAL_END   0x00000800u /* [11] deactivate dual-monitor treatment */
#define ENTRY_CTL_LOAD_PAT   0x00004000u /* [14] load IA32_PAT */
#define ENTRY_CTL_LOAD_EFER  0x00008000u /* [15] load IA32_EFER */

/* VM-entry interruption information: "VM-Entry Controls for Event Injection". */
#define INTR_INFO_VECTOR   0x000000ffu /* [7:0] */
#define INTR_INFO_TYPE     0x00000700u /* [10:8] 0 external, 2 NMI, 3 hardware exception ... */
#define INTR_INFO_ERROR    0x00000800u /* [11] deliver / has error code */
#define INTR_INFO_VALID    0x80000000u /* [31] */
#define INTR_TYPE_SHIFT    8
#define INTR_TYPE_EXTERNAL 0u
#define INTR_TYPE_NMI      2u
#define INTR_TYPE_HARDWARE 3u
#define INTR_TYPE_SOFTWARE 4u /* INT n; 5 privileged software exception, 6 software exception */
#define INTR_TYPE_PRIVILEGED 5u
#define INTR_TYPE_SOFTWARE_EXCEPTION 6u
#define INTR_TYPE_OTHER    7u /* vector 0: pending MTF VM exit */

/* Segment access rights: SDM 3C "Guest Register State". */
#define ACCESS_TYPE     0x000fu /* [3:0] */
#define ACCESS_L        0x2000u /* [13]  64-bit code */
#define TYPE_TSS16_BUSY 3u

/* Guest interruptibility state. */
#define BLOCKING_STI    0x1u
#define BLOCKING_MOV_SS 0x2u
#define BLOCKING_SMI    0x4u
#define BLOCKING_NMI    0x8u
#define BLOCKING_ENCLAVE 0x10u /* enclave interruption */

/* Pending debug exceptions, and exit qualification of #DB. */
#define DEBUG_CAUSES    0xe00full /* [15:13] BT, BS, BD; [3:0] B3..B0: as in DR6 */
#define DEBUG_ENABLED   0x1000ull /* [12] a breakpoint that DR7 enables was met */
#define DEBUG_BS        0x4000ull /* [14] single step */

/* Guest activity state. */
#define ACTIVITY_ACTIVE   0u
#define ACTIVITY_HLT      1u
#define ACTIVITY_SHUTDOWN 2u
#define ACTIVITY_WAIT_SIPI 3u

/* Exit reasons (C). */
#define REASON_EXCEPTION_NMI   0
#define REASON_EXTERNAL_IRQ    1
#define REASON_TRIPLE_FAULT    2
#define REASON_INIT            3
#define REASON_STARTUP         4
#define REASON_IRQ_WINDOW      7
#define REASON_NMI_WINDOW      8
#define REASON_TASK_SWITCH     9
#define REASON_CPUID           10
#define REASON_GETSEC          11
#define REASON_HLT             12
#define REASON_INVD            13
#define REASON_RDPMC           15
#define REASON_VMCALL          18
#define REASON_VMCLEAR         19
#define REASON_VMXON           27
#define REASON_CR              28
#define REASON_IO              30
#define REASON_RDMSR           31
#define REASON_WRMSR           32
#define REASON_ENTRY_GUEST     33
#define REASON_ENTRY_MSR       34
#define REASON_MWAIT           36
#define REASON_MONITOR         39
#define REASON_ENTRY_MCE       41
#define REASON_TPR             43
#define REASON_APIC_ACCESS     44
#define REASON_EOI             45
#define REASON_EPT_VIOLATION   48
#define REASON_EPT_MISCONFIG   49
#define REASON_INVEPT          50
#define REASON_PREEMPTION      52
#define REASON_INVVPID         53
#define REASON_WBINVD          54
#define REASON_XSETBV          55
#define REASON_APIC_WRITE      56
#define REASON_ENTRY_FAILED    0x80000000u /* [31] */

/* Exit qualifications. SDM 3C "Basic VM-Exit Information". */
#define QUAL_CR_NUMBER    0x0000000full /* [3:0]   control register */
#define QUAL_CR_TYPE      0x00000030ull /* [5:4]   0 MOV to, 1 MOV from, 2 CLTS, 3 LMSW */
#define QUAL_CR_GPR       0x00000f00ull /* [11:8]  general register */
#define QUAL_TASK_SOURCE  0xc0000000ull /* [31:30] CALL, IRET, JMP, task gate in the IDT */
#define QUAL_IO_SIZE      0x00000007ull /* [2:0]   bytes - 1 */
#define QUAL_IO_IN        0x00000008ull /* [3] */
#define QUAL_IO_STRING    0x00000010ull /* [4] */
#define QUAL_IO_REP       0x00000020ull /* [5] */
#define QUAL_IO_PORT      0xffff0000ull /* [31:16] */
#define INSN_INFO_ASIZE   0x00000380ull /* VM-exit instruction information [9:7] of INS, OUTS */
#define INSN_INFO_SEGMENT 0x00038000ull /* [17:15] of OUTS: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5 */
#define QUAL_APIC_OFFSET  0x00000fffull /* APIC access [11:0]; APIC write: the same */
#define QUAL_APIC_TYPE    0x0000f000ull /* [15:12] 0 linear read, 1 write, 2 fetch; others rare */
#define QUAL_EPT_WRITE    0x00000002ull /* [1] */
#define QUAL_EPT_FETCH    0x00000004ull /* [2] */
#define QUAL_EPT_FINAL    0x00000180ull /* [8:7] both: the access itself, not a page-table entry's */
#define QUAL_EPT_NMI_IRET 0x00001000ull /* [12] NMI unblocking due to IRET */

/* VMCS fields (B). 16 bits. */
#define VMCS_VPID                  0x0000
#define VMCS_POSTED_VECTOR         0x0002
#define VMCS_GUEST_ES_SELECTOR     0x0800
#define VMCS_GUEST_CS_SELECTOR     0x0802
#define VMCS_GUEST_SS_SELECTOR     0x0804
#define VMCS_GUEST_DS_SELECTOR     0x0806
#define VMCS_GUEST_FS_SELECTOR     0x0808
#define VMCS_GUEST_GS_SELECTOR     0x080a
#define VMCS_GUEST_LDTR_SELECTOR   0x080c
#define VMCS_GUEST_TR_SELECTOR     0x080e
#define VMCS_GUEST_IRQ_STATUS      0x0810
#define VMCS_HOST_ES_SELECTOR      0x0c00
#define VMCS_HOST_CS_SELECTOR      0x0c02
#define VMCS_HOST_SS_SELECTOR      0x0c04
#define VMCS_HOST_DS_SELECTOR      0x0c06
#define VMCS_HOST_FS_SELECTOR      0x0c08
#define VMCS_HOST_GS_SELECTOR      0x0c0a
#define VMCS_HOST_TR_SELECTOR      0x0c0c

/* 64 bits. */
#define VMCS_IO_BITMAP_A           0x2000
#define VMCS_IO_BITMAP_B           0x2002
#define VMCS_MSR_BITMAP            0x2004
#define VMCS_EXIT_MSR_STORE        0x2006
#define VMCS_EXIT_MSR_LOAD         0x2008
#define VMCS_ENTRY_MSR_LOAD        0x200a
#define VMCS_TSC_OFFSET            0x2010
#define VMCS_VIRTUAL_APIC          0x2012
#define VMCS_APIC_ACCESS           0x2014
#define VMCS_POSTED_DESCRIPTOR     0x2016
#define VMCS_EPT_POINTER           0x201a
#define VMCS_EOI_EXIT_BITMAP0      0x201c
#define VMCS_GUEST_PHYSICAL        0x2400
#define VMCS_LINK_POINTER          0x2800
#define VMCS_GUEST_DEBUGCTL        0x2802
#define VMCS_GUEST_PAT             0x2804
#define VMCS_GUEST_EFER            0x2806
#define VMCS_GUEST_PDPTE0          0x280a
#define VMCS_HOST_PAT              0x2c00
#define VMCS_HOST_EFER             0x2c02

/* 32 bits. */
#define VMCS_PIN_CONTROLS          0x4000
#define VMCS_PROC_CONTROLS         0x4002
#define VMCS_EXCEPTION_BITMAP      0x4004
#define VMCS_PF_ERROR_MASK         0x4006
#define VMCS_PF_ERROR_MATCH        0x4008
#define VMCS_CR3_TARGET_COUNT      0x400a
#define VMCS_EXIT_CONTROLS         0x400c
#define VMCS_EXIT_MSR_STORE_COUNT  0x400e
#define VMCS_EXIT_MSR_LOAD_COUNT   0x4010
#define VMCS_ENTRY_CONTROLS        0x4012
#define VMCS_ENTRY_MSR_LOAD_COUNT  0x4014
#define VMCS_ENTRY_INTR_INFO       0x4016
#define VMCS_ENTRY_ERROR_CODE      0x4018
#define VMCS_ENTRY_INSN_LENGTH     0x401a
#define VMCS_TPR_THRESHOLD         0x401c
#define VMCS_PROC_CONTROLS2        0x401e
#define VMCS_INSTRUCTION_ERROR     0x4400
#define VMCS_EXIT_REASON           0x4402
#define VMCS_EXIT_INTR_INFO        0x4404
#define VMCS_EXIT_ERROR_CODE       0x4406
#define VMCS_IDT_VECTORING_INFO    0x4408
#define VMCS_IDT_VECTORING_ERROR   0x440a
#define VMCS_EXIT_INSN_LENGTH      0x440c
#define VMCS_EXIT_INSN_INFO        0x440e
#define VMCS_GUEST_ES_LIMIT        0x4800
#define VMCS_GUEST_CS_LIMIT        0x4802
#define VMCS_GUEST_SS_LIMIT        0x4804
#define VMCS_GUEST_DS_LIMIT        0x4806
#define VMCS_GUEST_FS_LIMIT        0x4808
#define VMCS_GUEST_GS_LIMIT        0x480a
#define VMCS_GUEST_LDTR_LIMIT      0x480c
#define VMCS_GUEST_TR_LIMIT        0x480e
#define VMCS_GUEST_GDTR_LIMIT      0x4810
#define VMCS_GUEST_IDTR_LIMIT      0x4812
#define VMCS_GUEST_ES_ACCESS       0x4814
#define VMCS_GUEST_CS_ACCESS       0x4816
#define VMCS_GUEST_SS_ACCESS       0x4818
#define VMCS_GUEST_DS_ACCESS       0x481a
#define VMCS_GUEST_FS_ACCESS       0x481c
#define VMCS_GUEST_GS_ACCESS       0x481e
#define VMCS_GUEST_LDTR_ACCESS     0x4820
#define VMCS_GUEST_TR_ACCESS       0x4822
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824
#define VMCS_GUEST_ACTIVITY        0x4826
#define VMCS_GUEST_SYSENTER_CS     0x482a
#define VMCS_PREEMPTION_TIMER      0x482e
#define VMCS_HOST_SYSENTER_CS      0x4c00

/* Natural width. */
#define VMCS_CR0_MASK              0x6000
#define VMCS_CR4_MASK              0x6002
#define VMCS_CR0_SHADOW            0x6004
#define VMCS_CR4_SHADOW            0x6006
#define VMCS_EXIT_QUALIFICATION    0x6400
#define VMCS_GUEST_CR0             0x6800
#define VMCS_GUEST_CR3             0x6802
#define VMCS_GUEST_CR4             0x6804
#define VMCS_GUEST_ES_BASE         0x6806
#define VMCS_GUEST_CS_BASE         0x6808
#define VMCS_GUEST_SS_BASE         0x680a
#define VMCS_GUEST_DS_BASE         0x680c
#define VMCS_GUEST_FS_BASE         0x680e
#define VMCS_GUEST_GS_BASE         0x6810
#define VMCS_GUEST_LDTR_BASE       0x6812
#define VMCS_GUEST_TR_BASE         0x6814
#define VMCS_GUEST_GDTR_BASE       0x6816
#define VMCS_GUEST_IDTR_BASE       0x6818
#define VMCS_GUEST_DR7             0x681a
#define VMCS_GUEST_RSP             0x681c
#define VMCS_GUEST_RIP             0x681e
#define VMCS_GUEST_RFLAGS          0x6820
#define VMCS_GUEST_PENDING_DEBUG   0x6822
#define VMCS_GUEST_SYSENTER_ESP    0x6824
#define VMCS_GUEST_SYSENTER_EIP    0x6826
#define VMCS_HOST_CR0              0x6c00
#define VMCS_HOST_CR3              0x6c02
#define VMCS_HOST_CR4              0x6c04
#define VMCS_HOST_FS_BASE          0x6c06
#define VMCS_HOST_GS_BASE          0x6c08
#define VMCS_HOST_TR_BASE          0x6c0a
#define VMCS_HOST_GDTR_BASE        0x6c0c
#define VMCS_HOST_IDTR_BASE        0x6c0e
#define VMCS_HOST_SYSENTER_ESP     0x6c10
#define VMCS_HOST_SYSENTER_EIP     0x6c12
#define VMCS_HOST_RSP              0x6c14
#define VMCS_HOST_RIP              0x6c16

#endif
