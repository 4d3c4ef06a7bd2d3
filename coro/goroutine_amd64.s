#include "textflag.h"

// func goroutine() uintptr
TEXT ·goroutine(SB), NOSPLIT, $0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET

// func prefetchSwitch(gp, sp uintptr, cold *[4]uintptr)
TEXT ·prefetchSwitch(SB), NOSPLIT, $0-24
	MOVQ gp+0(FP), AX
	MOVQ sp+8(FP), BX
	MOVQ cold+16(FP), CX
	PREFETCHT0 (AX)    // the bounds of the stack, the thread
	PREFETCHT0 64(AX)  // the registers
	PREFETCHT0 128(AX) // the status
	PREFETCHT0 192(AX) // the thread that it is locked to
	PREFETCHT0 384(AX) // the argument of the switch
	PREFETCHT0 -64(BX)
	PREFETCHT0 (BX)
	PREFETCHT0 64(BX)
	PREFETCHT0 128(BX)
	PREFETCHT0 192(BX)
	PREFETCHT0 256(BX)
	PREFETCHT0 320(BX)
	MOVQ (CX), AX
	MOVQ 8(CX), BX
	MOVQ 16(CX), DX
	MOVQ 24(CX), SI
	PREFETCHT0 (AX)
	PREFETCHT0 (BX)
	PREFETCHT0 (DX)
	PREFETCHT0 (SI)
	RET
