package bus

import "time"

// pubs are the messages of this node to a room, which wait for its owner.
//
// They leave by a channel, which is numbered from 1, to one owner. A channel ends when the owner says from which
// number on it has taken nothing; what follows goes to the next owner by another channel. If the owner is lost before
// it says so, nobody knows of those that were sent: they are not sent again.
type pubs struct {
	to    NodeID // 0: no channel
	chn   uint64
	queue []pub
	bytes int
	first uint64 // number of the first in the queue, in this channel
	sent  int    // how many of the queue were sent
	ended bool   // the owner takes no more by this channel
	restA time.Time
	backA time.Time
}

type pub struct {
	data []byte
	done func(Position, error) // called with the machine held
	over bool                  // the owner has taken it
}

// publish puts a message behind those that wait. done may be nil.
func (r *room) publish(data []byte, done func(Position, error)) error {
	p, l := &r.pub, &r.m.limits
	switch {
	case len(data) > l.Message:
		return ErrTooLong
	case len(p.queue) >= l.Pending || p.bytes+len(data) > l.PendingBytes && len(p.queue) > 0:
		return ErrFull
	}
	p.queue = append(p.queue, pub{data: data, done: done})
	p.bytes += len(data)
	p.target(r)
	r.wake()
	return nil
}

// target sends what may be sent, to whom it belongs.
func (p *pubs) target(r *room) {
	m := r.m
	to := r.owner
	switch r.state {
	case away:
		to = m.owner(r.name)
	case joining: // so that this node's subscribers see what it publishes
		return
	}
	if p.sent == 0 && (to != p.to || p.ended) && !m.now.Before(p.restA) {
		p.to, p.chn, p.first, p.ended = to, m.number(), 1, false
	}
	if p.to == 0 || p.ended {
		return
	}
	under := 0
	for i := range p.sent {
		under += len(p.queue[i].data)
	}
	for p.sent < len(p.queue) && p.sent < window && under < windowBytes {
		if p.sent == 0 {
			p.backA = m.now.Add(resendAfter)
		}
		under += len(p.queue[p.sent].data)
		p.sent++
		m.send(p.to, frame{kind: kindPub, room: r.name, chn: p.chn, seq: p.first + uint64(p.sent) - 1,
			data: p.queue[p.sent-1].data})
	}
}

// pubAnswered is what the owner says of a message.
func (r *room) pubAnswered(from NodeID, f *frame) {
	p := &r.pub
	i := f.n - p.first
	switch {
	case from != p.to || f.chn != p.chn:
		return
	case f.kind == kindPubNo && f.n < p.first:
		p.lost(r, from) // it has forgotten what it had taken
		return
	case f.n < p.first || i > uint64(p.sent):
		return
	case f.kind == kindPubNo: // of those before n all are known, or will be asked for again
		p.sent, p.ended = int(i), true
		p.restA = r.m.now.Add(resendAfter / 4) // so that two who do not agree yet are not asked all the time
		r.wake()
		return
	}
	if i == uint64(p.sent) {
		return
	}
	p.queue[i].finish(Position{f.epoch, f.seq}, nil)
	for p.sent > 0 && p.queue[0].over {
		p.shift()
		p.backA = r.m.now.Add(resendAfter)
	}
	p.target(r)
}

func (p *pub) finish(at Position, err error) {
	if !p.over && p.done != nil {
		p.done(at, err)
	}
	p.over = true
}

// shift takes the first one out of the queue.
func (p *pubs) shift() {
	p.bytes -= len(p.queue[0].data)
	p.queue[0] = pub{}
	p.queue = p.queue[1:]
	p.first++
	p.sent--
}

// lost is the end of a node. What it was sent, and has not answered for, is perhaps published.
func (p *pubs) lost(r *room, id NodeID) {
	if p.to != id {
		return
	}
	for p.sent > 0 {
		p.queue[0].finish(Position{}, ErrPerhaps)
		p.shift()
	}
	p.to = 0
	if len(p.queue) > 0 {
		r.wake()
	}
}

// tick sends again.
func (p *pubs) tick(r *room) {
	if p.sent > 0 && !r.m.now.Before(p.backA) {
		p.backA = r.m.now.Add(resendAfter)
		r.m.stats.Resent++
		for i := range p.sent {
			if !p.queue[i].over {
				r.m.send(p.to, frame{kind: kindPub, room: r.name, chn: p.chn, seq: p.first + uint64(i), flags: flagHole,
					data: p.queue[i].data})
			}
		}
	}
	p.target(r)
}
