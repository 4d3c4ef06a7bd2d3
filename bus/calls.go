package bus

import (
	"slices"
	"time"
)

// calls are the calls of this node, and those that it answers.
type calls struct {
	out     []*call
	in      []*served
	refused []*served // until their callers know: a copy that comes before then is not answered either
	starts  []*served // that have just come: the machine's owner runs their function
}

// A call is one that this node has made. The answerer says that it has come, and sends parts, numbered from 1.
type call struct {
	id      uint64
	to      NodeID
	gen     uint64 // of this node's life, to that one
	service string
	data    []byte
	until   time.Time // zero: without end
	backA   time.Time
	come    bool
	tried   []NodeID // said that they do not answer this
	got     uint64   // parts
	used    uint64   // of those, by who called
	parts   [][]byte // got, and not used
	over    bool     // the last part has come, or none will
	err     error
	swap    *swap // nil: it is of a service
	wake    func()
}

// A served is a call that this node answers.
type served struct {
	from    NodeID
	id      uint64
	service string
	data    []byte
	left    time.Duration // for the answer; 0: without end
	parts   []part        // that are not acknowledged
	sent    uint64        // number of the last part
	used    uint64        // how many the caller has used
	backA   time.Time
	over    bool // the last part was given
	cancel  func()
	wake    func()
}

type part struct {
	data  []byte
	flags uint64
}

// mostParts is how many parts of an answer may be on their way, or wait for the caller.
const mostParts = 16

func (c *calls) busy() bool { return len(c.out)+len(c.in)+len(c.refused) > 0 }

// call asks one of those who answer a service, each as likely as the other.
func (m *machine) call(service string, data []byte, until time.Time, wake func()) (*call, error) {
	switch {
	case len(service) > mostName || len(data) > m.limits.Message:
		return nil, ErrTooLong
	case len(m.calls.out) >= m.limits.Calls:
		return nil, ErrFull
	}
	c := &call{service: service, data: data, until: until, wake: wake}
	if !c.choose(m) {
		return nil, ErrNobody
	}
	m.calls.out = append(m.calls.out, c)
	return c, nil
}

// choose takes one of those who answer, and have not said yet that they do not. The call gets another number with each,
// so that none takes a late copy for a new call.
func (c *call) choose(m *machine) bool {
	var who []NodeID
	name := entryName(sortService, c.service, "")
	if m.mine.all.get(name) != nil {
		who = append(who, m.id)
	}
	for _, p := range m.peers {
		if p.connected && p.entries.all.get(name) != nil {
			who = append(who, p.id)
		}
	}
	who = slices.DeleteFunc(who, func(id NodeID) bool { return slices.Contains(c.tried, id) })
	if len(who) == 0 {
		return false
	}
	c.turnTo(m, who[m.rand.IntN(len(who))])
	return true
}

func (c *call) turnTo(m *machine, to NodeID) {
	c.id, c.to, c.gen = m.number(), to, 0
	if p := m.peer(to); p != nil {
		c.gen = p.itsGen
	}
	c.ask(m)
}

func (c *call) ask(m *machine) {
	c.backA = m.now.Add(resendAfter)
	f := frame{kind: kindCall, chn: c.id, epoch: c.gen, room: c.service, data: c.data}
	if c.swap != nil {
		c.swap.fill(&f)
	}
	if !c.until.IsZero() {
		f.n = uint64(max(c.until.Sub(m.now).Milliseconds(), 1))
	}
	m.send(c.to, f)
}

// end is the end of a call, with an error or without.
func (c *call) end(err error) {
	if !c.over {
		c.over, c.err = true, err
		c.wake()
	}
}

// take takes the next part.
func (c *call) take(m *machine) (p []byte, ok bool) {
	if len(c.parts) == 0 {
		return nil, false
	}
	p, c.parts = c.parts[0], c.parts[1:]
	c.used++
	if !c.over {
		m.send(c.to, frame{kind: kindGot, chn: c.id, seq: c.got, n: c.used})
	}
	return p, true
}

// forget is called when the caller wants no more.
func (m *machine) forget(c *call) {
	if !c.over && c.to != 0 {
		m.send(c.to, frame{kind: kindGot, chn: c.id, seq: c.got, n: c.used, flags: flagCancel})
	}
	m.calls.out = slices.DeleteFunc(m.calls.out, func(o *call) bool { return o == c })
}

// do takes a frame of calls.
func (cs *calls) do(m *machine, from NodeID, f *frame) {
	switch f.kind {
	case kindCall:
		cs.called(m, from, f)
	case kindCalled:
		if c := cs.mine(from, f.chn); c != nil {
			c.come = true
		}
	case kindAnswer:
		cs.answered(m, from, f)
	case kindGot:
		if s := cs.serves(from, f.chn); s != nil {
			s.acked(m, f)
		}
	}
}

func (cs *calls) mine(to NodeID, id uint64) *call {
	for _, c := range cs.out {
		if c.id == id && c.to == to {
			return c
		}
	}
	return nil
}

// serves is a call that this node answers, or has refused.
func (cs *calls) serves(from NodeID, id uint64) *served {
	for _, list := range [...][]*served{cs.in, cs.refused} {
		for _, s := range list {
			if s.id == id && s.from == from {
				return s
			}
		}
	}
	return nil
}

// called begins an answer. A call from before this node took the caller for dead may have been answered then: it is not
// answered again.
func (cs *calls) called(m *machine, from NodeID, f *frame) {
	if cs.serves(from, f.chn) == nil {
		p := m.peer(from)
		switch {
		case p != nil && p.gen != f.epoch:
			m.send(from, frame{kind: kindAnswer, chn: f.chn, seq: 1, flags: flagLast | flagLost})
			return
		case !m.answers(f):
			cs.refuse(m, from, f.chn, part{nil, flagLast | flagNobody})
			return
		case len(cs.in) >= m.limits.Calls:
			cs.refuse(m, from, f.chn, part{[]byte(ErrFull.Error()), flagLast | flagFailed})
			return
		}
		s := &served{from: from, id: f.chn, service: f.room, data: f.data, left: time.Duration(f.n) * time.Millisecond}
		cs.in = append(cs.in, s)
		if f.flags&flagSwap != 0 {
			s.answer(m, part{m.decide(f), flagLast})
		} else {
			cs.starts = append(cs.starts, s)
		}
	}
	m.send(from, frame{kind: kindCalled, chn: f.chn})
}

// answers reports whether this node answers what is asked.
func (m *machine) answers(f *frame) bool {
	if f.flags&flagSwap != 0 {
		return m.decides(f.room, f.key) && len(m.calls.in) < m.limits.Calls
	}
	return m.mine.all.get(entryName(sortService, f.room, "")) != nil
}

// refuse answers that a call is not answered. As each answer, that one is kept until the caller has it: what comes
// until then may be a copy, and the caller turns to another node. If too many are kept, the call was not heard, and is
// made again.
func (cs *calls) refuse(m *machine, from NodeID, id uint64, why part) {
	if len(cs.refused) >= m.limits.Calls {
		return
	}
	s := &served{from: from, id: id}
	cs.refused = append(cs.refused, s)
	s.answer(m, why)
}

// answered takes a part.
func (cs *calls) answered(m *machine, from NodeID, f *frame) {
	c := cs.mine(from, f.chn)
	if c == nil || c.over {
		m.send(from, frame{kind: kindGot, chn: f.chn, seq: f.seq, n: f.seq, flags: flagCancel})
		return
	}
	c.come = true
	if f.flags&flagNobody != 0 { // before it has another number
		m.send(from, frame{kind: kindGot, chn: c.id, seq: f.seq, n: f.seq})
	}
	switch {
	case f.flags&flagLost != 0:
		c.end(ErrLost)
		return
	case f.flags&flagNobody != 0 && c.swap != nil:
		c.come, c.to, c.backA = false, 0, m.now.Add(resendAfter/4)
		return
	case f.flags&flagNobody != 0:
		c.come = false
		if c.tried = append(c.tried, from); !c.choose(m) {
			c.end(ErrNobody)
		}
		return
	case f.seq == c.got+1:
		c.got++
		if c.swap != nil {
			c.decided(m, f.data)
			break
		}
		if f.flags&flagFailed != 0 {
			c.end(&AnswerError{string(f.data)})
		} else {
			c.parts = append(c.parts, f.data)
			c.wake()
		}
		if f.flags&flagLast != 0 {
			c.end(nil)
		}
	}
	got := frame{kind: kindGot, chn: c.id, seq: c.got, n: c.used}
	if c.over {
		got.n = c.got
	}
	m.send(from, got)
}

// answer adds a part. false: the caller has not used those before it, and it must wait.
func (s *served) answer(m *machine, p part) bool {
	if s.over {
		return true
	}
	if s.sent-s.used >= mostParts && p.flags == 0 {
		return false
	}
	s.over = p.flags&flagLast != 0
	if len(s.parts) == 0 {
		s.backA = m.now.Add(resendAfter)
	}
	s.sent++
	s.parts = append(s.parts, p)
	m.send(s.from, frame{kind: kindAnswer, chn: s.id, seq: s.sent, flags: p.flags, data: p.data})
	return true
}

// acked is what the caller has.
func (s *served) acked(m *machine, f *frame) {
	first := s.sent - uint64(len(s.parts)) + 1
	if n := f.seq + 1 - first; f.seq >= first && n <= uint64(len(s.parts)) {
		s.parts = slices.Clone(s.parts[n:])
		s.backA = m.now.Add(resendAfter)
	}
	s.used = max(s.used, min(f.n, s.sent))
	if f.flags&flagCancel != 0 || s.over && len(s.parts) == 0 {
		s.end(m)
	} else if s.wake != nil {
		s.wake()
	}
}

// end forgets a call that was answered, or whose caller is gone.
func (s *served) end(m *machine) {
	s.over, s.parts = true, nil
	is := func(o *served) bool { return o == s }
	m.calls.in, m.calls.refused = slices.DeleteFunc(m.calls.in, is), slices.DeleteFunc(m.calls.refused, is)
	if s.cancel != nil {
		s.cancel()
	}
	if s.wake != nil {
		s.wake()
	}
}

// tick sends again.
func (cs *calls) tick(m *machine) {
	for _, c := range cs.out {
		switch {
		case c.come || c.over || m.now.Before(c.backA):
		case c.to == 0:
			c.chooseOwner(m)
		default:
			m.stats.Resent++
			c.ask(m)
		}
	}
	for _, s := range cs.in {
		s.tick(m)
	}
	for _, s := range cs.refused {
		s.tick(m)
	}
}

// tick sends again what the caller does not have.
func (s *served) tick(m *machine) {
	if len(s.parts) == 0 || m.now.Before(s.backA) {
		return
	}
	m.stats.Resent++
	s.backA = m.now.Add(resendAfter)
	for i, p := range s.parts {
		seq := s.sent - uint64(len(s.parts)) + uint64(i) + 1
		m.send(s.from, frame{kind: kindAnswer, chn: s.id, seq: seq, flags: p.flags, data: p.data})
	}
}

// lost is the end of a node.
func (cs *calls) lost(m *machine, id NodeID) {
	for _, c := range cs.out {
		if c.to == id {
			c.end(ErrLost)
		}
	}
	for _, s := range slices.Concat(cs.in, cs.refused) {
		if s.from == id {
			s.end(m)
		}
	}
}
