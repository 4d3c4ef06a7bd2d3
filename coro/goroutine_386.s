#include "textflag.h"

// func goroutine() uintptr
TEXT ·goroutine(SB), NOSPLIT, $0-4
	MOVL (TLS), AX
	MOVL AX, ret+0(FP)
	RET

// func prefetchSwitch(gp, sp uintptr, cold *[4]uintptr)
TEXT ·prefetchSwitch(SB), NOSPLIT, $0-12
	RET
