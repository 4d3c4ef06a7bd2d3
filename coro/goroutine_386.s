#include "textflag.h"

// func goroutine() uintptr
TEXT ·goroutine(SB), NOSPLIT, $0-4
	MOVL (TLS), AX
	MOVL AX, ret+0(FP)
	RET

// func prefetch(gp, sp uintptr, cold *[4]uintptr)
TEXT ·prefetch(SB), NOSPLIT, $0-12
	RET
