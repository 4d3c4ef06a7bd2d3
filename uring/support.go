package uring

// Support is what the running kernel's io_uring can do, as found by trying.
type Support struct {
	// Features are what the kernel says of itself.
	Features FeatureFlags
	// Setup are the flags of io_uring_setup(2) that it takes, out of those that suit sockets.
	Setup SetupFlags
	// BufRings, Incremental: buffer rings (5.19), and such with incremental consumption (6.12).
	BufRings, Incremental bool
	// RegisterRing: a ring can have a number in its thread's table (5.18).
	RegisterRing bool

	ops [4]uint64
}

// Op reports whether the kernel has the operation.
func (s *Support) Op(o Op) bool { return s.ops[o>>6]>>(o&63)&1 != 0 }

func (s *Support) setOp(o uint8) { s.ops[o>>6] |= 1 << (o & 63) }

// Ops are all operations that the kernel has.
func (s *Support) Ops() (list []Op) {
	for o := range 256 {
		if s.Op(Op(o)) {
			list = append(list, Op(o))
		}
	}
	return list
}

// Names lists what was found by name, for people to read: features, set-up flags, kinds of buffer rings, operations
// (after "op:").
func (s *Support) Names() []string {
	list := append(s.Features.Names(), s.Setup.Names()...)
	for _, x := range []struct {
		have bool
		name string
	}{{s.BufRings, "buf_ring"}, {s.Incremental, "buf_ring_inc"}, {s.RegisterRing, "registered_ring"}} {
		if x.have {
			list = append(list, x.name)
		}
	}
	for _, o := range s.Ops() {
		list = append(list, "op:"+o.String())
	}
	return list
}
