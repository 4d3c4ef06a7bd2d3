package tcp

// A State is that of a connection (RFC 9293, section 3.3.2):
//
//	            CLOSED ── Dial ──> SYN-SENT ── SYN ──> SYN-RECEIVED <── SYN ── LISTEN
//	                                  │ SYN,ACK            │ ACK
//	                                  └──> ESTABLISHED <───┘
//	      CloseWrite: FIN ────────────────┘    └──────────────── FIN came
//	FIN-WAIT-1 ── FIN came ──> CLOSING               CLOSE-WAIT
//	    │ ACK of FIN             │ ACK of FIN            │ CloseWrite: FIN
//	FIN-WAIT-2 ── FIN came ──> TIME-WAIT             LAST-ACK ── ACK of FIN ──> CLOSED
type State uint8

// The states. LISTEN is a Listener's, not a connection's.
const (
	Closed State = iota
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait
)

// String is the name as RFC 9293 has it.
func (s State) String() string {
	return [...]string{"CLOSED", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
		"CLOSING", "LAST-ACK", "TIME-WAIT"}[s]
}

// synchronized reports whether both sides know the other's sequence number.
func (s State) synchronized() bool { return s >= Established }

// canSend reports whether the application may still write.
func (s State) canSend() bool { return s >= SynSent && s <= Established || s == CloseWait }

// takesText reports whether the peer may still send text.
func (s State) takesText() bool { return s == Established || s == FinWait1 || s == FinWait2 }
