package uring

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	for op := range opEnd {
		if op.String() == "" || op.Since() == "" {
			t.Errorf("operation %d has no name or version", uint8(op))
		}
	}
	// A few whose numbers are known for certain hold the list in place.
	for op, want := range map[Op]int{OpAccept: 13, OpSend: 26, OpShutdown: 34, OpMsgRing: 40, OpSendZC: 47,
		OpFixedFDInstall: 54, OpBind: 56, OpPipe: 62} {
		if int(op) != want {
			t.Errorf("%v has number %d, want %d", op, op, want)
		}
	}
	if s := Op(200).String(); s != "op 200" || Op(200).Since() != "" {
		t.Errorf("an unknown operation is %q", s)
	}
	if got := (FeatNoDrop | FeatNoIOWait | 1<<30).Names(); !slices.Equal(got, []string{"nodrop", "no_iowait", "bit 30"}) {
		t.Errorf("names of features: %q", got)
	}
	if got := (SetupSingleIssuer | SetupDeferTaskrun).Names(); !slices.Equal(got,
		[]string{"single_issuer", "defer_taskrun"}) {
		t.Errorf("names of flags: %q", got)
	}
}

func TestSupport(t *testing.T) {
	var s Support
	s.setOp(0)
	s.setOp(63)
	s.setOp(64)
	s.setOp(255)
	for op, want := range map[Op]bool{0: true, 1: false, 63: true, 64: true, 65: false, 254: false, 255: true} {
		if s.Op(op) != want {
			t.Errorf("Op(%d) = %v", op, s.Op(op))
		}
	}
	if got := s.Ops(); !slices.Equal(got, []Op{0, 63, 64, 255}) {
		t.Errorf("Ops = %v", got)
	}
}
