package nats

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
)

func (s *source) Ack(_ context.Context, d *mq.Delivery) error {
	if err := s.say(d, "+ACK"); err != nil {
		return err
	}
	s.settled(d)
	return nil
}

// settled forgets a delivery, and its history.
func (s *source) settled(d *mq.Delivery) {
	s.release(d)
	if t := d.Token.(*token); t.history != "" {
		s.later(func(ctx context.Context) { s.purge(ctx, t.history) })
	}
}

// purge removes a history. One that stays is pushed out by others some day.
func (s *source) purge(ctx context.Context, subject string) {
	stream, err := s.q.b.js.Stream(ctx, historyPrefix+s.q.name)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil && ctx.Err() == nil {
		s.q.b.log.Info("nats: the history of a job that is done was not removed", "queue", s.q.name, "err", err)
	}
}

func (s *source) Extend(_ context.Context, d *mq.Delivery) error { return s.say(d, "+WPI") }

func (s *source) Nak(ctx context.Context, d *mq.Delivery, delay time.Duration, history []byte) error {
	if len(history) > 0 {
		if err := s.remember(ctx, d, history); err != nil {
			return err
		}
	}
	if err := s.say(d, nakFor(delay)); err != nil {
		return err
	}
	s.release(d)
	return nil
}

// release forgets a delivery. A Next that waits may ask its partition again.
func (s *source) release(d *mq.Delivery) {
	s.mu.Lock()
	delete(s.has, d)
	s.mu.Unlock()
	if s.q.o.Ordered {
		s.notify()
	}
}

// historyOf is the subject of a job's history.
func (s *source) historyOf(d *mq.Delivery) string {
	return historySubj + s.q.name + "." + s.group + "." + strconv.FormatUint(d.Token.(*token).seq, 10)
}

// remember stores a history.
func (s *source) remember(ctx context.Context, d *mq.Delivery, history []byte) error {
	if err := s.q.besides(ctx, historyPrefix); err != nil {
		return err
	}
	t := d.Token.(*token)
	m := &natsgo.Msg{Subject: s.historyOf(d), Data: history, Header: natsgo.Header{}}
	if t.back > 0 {
		m.Header[backHeader] = []string{strconv.Itoa(t.back)}
	}
	t.history = m.Subject
	if a := s.q.store(ctx, []*natsgo.Msg{m})[0]; a.err != nil {
		return fmt.Errorf("nats: store the history of a job: %w", a.err)
	}
	return nil
}

// recall finds the histories of jobs that were handed out before.
func (s *source) recall(ctx context.Context, ds []*mq.Delivery) {
	for _, d := range ds {
		if d.Attempt > 1 {
			s.recallOne(ctx, d)
		}
	}
}

func (s *source) recallOne(ctx context.Context, d *mq.Delivery) {
	stream, err := s.q.b.js.Stream(ctx, historyPrefix+s.q.name)
	if err == nil {
		var m *jetstream.RawStreamMsg
		m, err = stream.GetLastMsgForSubject(ctx, s.historyOf(d))
		if err == nil {
			t := d.Token.(*token)
			d.History, t.history = m.Data, m.Subject
			if t.back, err = strconv.Atoi(m.Header.Get(backHeader)); err != nil {
				t.back, err = 0, nil // it has none
			}
			d.Attempt = max(d.Attempt-t.back, 1)
		}
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrMsgNotFound) {
		s.q.b.log.Warn("nats: the history of a job could not be read", "queue", s.q.name, "job", d.ID, "err", err)
	}
}

// unseen gives back a job that was handed to nobody, so that it does not count.
func (s *source) unseen(d *mq.Delivery) {
	s.later(func(ctx context.Context) {
		if d.Attempt > 1 {
			s.recallOne(ctx, d)
		}
		d.Token.(*token).back++
		err := s.remember(ctx, d, d.History)
		if e := s.say(d, "-NAK"); err == nil {
			err = e
		}
		if err != nil && ctx.Err() == nil {
			s.q.b.log.Warn("nats: a job that was handed to nobody is not given back, and comes later", "queue", s.q.name,
				"job", d.ID, "err", err)
		}
	})
}

// later calls f on another goroutine: the caller may be the client's, which brings the answers. The source's Close
// waits for it, and the backend's ends it.
func (s *source) later(f func(ctx context.Context)) {
	b := s.q.b
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life.Err() != nil {
		return
	}
	s.behind.Add(1)
	b.behind.Go(func() {
		defer s.behind.Done()
		ctx, cancel := context.WithTimeout(b.life, connectTime)
		defer cancel()
		f(ctx)
	})
}

// Bury stores the dead job, and then ends it for its group. The ID is for a second burial, after a death in between.
func (s *source) Bury(ctx context.Context, d *mq.Delivery, history []byte) error {
	if err := s.q.besides(ctx, deadPrefix); err != nil {
		return err
	}
	m := encode(deadSubject+s.q.name+"."+s.group, &d.Message)
	m.Header[publishedHeader] = []string{nanos(d.Published)}
	m.Header[groupHeader] = []string{s.group}
	m.Header[historyHeader] = []string{base64.StdEncoding.EncodeToString(history)}
	m.Header[natsgo.MsgIdHdr] = []string{s.group + ":" + strconv.FormatUint(d.Token.(*token).seq, 10)}
	if a := s.q.store(ctx, []*natsgo.Msg{m})[0]; a.err != nil {
		return fmt.Errorf("nats: store a dead job: %w", a.err)
	}
	if _, err := s.q.b.nc.RequestWithContext(ctx, d.Token.(*token).reply, []byte("+TERM")); err != nil {
		return fmt.Errorf("nats: end a dead job: %w", err)
	}
	s.settled(d)
	return nil
}

// deadStream is that of the dead; nil: there are none.
func (q *queue) deadStream(ctx context.Context) (jetstream.Stream, error) {
	s, err := q.b.js.Stream(ctx, deadPrefix+q.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("nats: the dead jobs of %s: %w", q.name, err)
	}
	return s, nil
}

func (q *queue) Dead(ctx context.Context, after string, most int) (ds []mq.DeadJob, err error) {
	s, err := q.deadStream(ctx)
	if s == nil || err != nil {
		return nil, err
	}
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil || seq == math.MaxUint64 {
		seq = 0
	}
	for len(ds) < most {
		m, err := s.GetMsg(ctx, seq+1, jetstream.WithGetMsgSubject(deadSubject+q.name+".>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return ds, fmt.Errorf("nats: the dead jobs of %s: %w", q.name, err)
		}
		ds = append(ds, q.deadJob(m))
		seq = m.Sequence
	}
	return ds, nil
}

// deadJob makes one of what is stored.
func (q *queue) deadJob(m *jetstream.RawStreamMsg) mq.DeadJob {
	msg, published, err := decode(m.Header, m.Data)
	d := mq.DeadJob{Message: msg, Ref: strconv.FormatUint(m.Sequence, 10), Queue: q.name, Group: m.Header.Get(groupHeader),
		Published: published, Died: m.Time}
	text, e := base64.StdEncoding.DecodeString(m.Header.Get(historyHeader))
	if e == nil {
		d.History, e = mq.ParseHistory(text)
	}
	if err = errors.Join(err, e); err != nil {
		q.b.log.Warn("nats: a dead job can't be read as a whole", "queue", q.name, "ref", d.Ref, "err", err)
	}
	return d
}

// find is the dead job of a ref.
func (q *queue) find(ctx context.Context, ref string) (jetstream.Stream, *jetstream.RawStreamMsg, error) {
	seq, err := strconv.ParseUint(ref, 10, 64)
	if err != nil || seq == 0 {
		return nil, nil, mq.ErrNoJob
	}
	s, err := q.deadStream(ctx)
	switch {
	case err != nil:
		return nil, nil, err
	case s == nil:
		return nil, nil, mq.ErrNoJob
	}
	m, err := s.GetMsg(ctx, seq)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, nil, mq.ErrNoJob
	case err != nil:
		return nil, nil, fmt.Errorf("nats: dead job %s of %s: %w", ref, q.name, err)
	}
	return s, m, nil
}

func (q *queue) Redrive(ctx context.Context, ref string) error {
	s, m, err := q.find(ctx, ref)
	if err != nil {
		return err
	}
	d := q.deadJob(m)
	if err := q.Group(ctx, d.Group); err != nil {
		return err
	}
	d.NotBefore = time.Time{}
	out := encode(q.subject(&d.Message, d.Group), &d.Message)
	out.Header[publishedHeader] = []string{nanos(d.Published)}
	if a := q.store(ctx, []*natsgo.Msg{out})[0]; a.err != nil {
		return fmt.Errorf("nats: redrive job %s of %s: %w", ref, q.name, a.err)
	}
	return q.remove(ctx, s, m)
}

func (q *queue) Drop(ctx context.Context, ref string) error {
	s, m, err := q.find(ctx, ref)
	if err != nil {
		return err
	}
	return q.remove(ctx, s, m)
}

func (q *queue) remove(ctx context.Context, s jetstream.Stream, m *jetstream.RawStreamMsg) error {
	err := s.DeleteMsg(ctx, m.Sequence)
	if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return fmt.Errorf("nats: remove dead job %d of %s: %w", m.Sequence, q.name, err)
	}
	return nil
}
