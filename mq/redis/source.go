package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plexor-go/plexor/mq"
)

const (
	// beat is how often a source looks for dead consumers, and shows that its own connection lives.
	beat = 250 * time.Millisecond
	// firstBack and lastBack are the pauses while the server is not there.
	firstBack = 10 * time.Millisecond
	lastBack  = time.Second
	farewell  = 5 * time.Second // for the last call of Close
	// fresh is for how long after the script jobs are taken without it, if there are new ones: those whose time comes
	// meanwhile wait for so long.
	fresh = 10 * time.Millisecond
)

// A source is a consumer of a group.
type source struct {
	q        *queue
	group    string
	consumer string // its name in the streams' groups
	o        mq.SubscribeOptions
	acks     combiner[*acking]

	alive *redis.Client          // has one connection, whose end is taken for this consumer's
	sign  atomic.Pointer[string] // what the queue's hash w has of this consumer
	run   atomic.Pointer[string] // the server's run that alive is connected to

	life context.Context
	end  context.CancelFunc
	rest sync.WaitGroup
	asks chan ask

	// Next's own.
	wait    *ask              // under way; nil: none is
	stream  string            // of the group, if it has one, as the script has found it
	looked  time.Time         // when it did
	tended  time.Time         // when dead consumers were last looked for
	missing map[string]string // consumer -> sign, of those whose connection was not there then
}

// A token is what a delivery has of its own.
type token struct {
	member  string // "partition:entry"
	attempt int64
	size    int         // what the job is charged
	unsure  atomic.Bool // a call that was to settle it has failed, and perhaps did
}

// An ask is to wait on the connection alive until there may be something to fetch.
type ask struct {
	due      time.Duration // when to look all the same
	keys     []string      // of streams, then IDs
	answered chan struct{}
}

func (q *queue) Subscribe(ctx context.Context, group string, o mq.SubscribeOptions) (mq.Source, error) {
	s := &source{q: q, group: group, consumer: o.Worker + "/" + rand.Text()[:10], o: o, asks: make(chan ask),
		missing: make(map[string]string)}
	s.life, s.end = context.WithCancel(context.Background())
	s.acks.run = s.ack
	options := q.b.target.options
	options.PoolSize, options.MaxRetries = 1, -1
	options.OnConnect = s.connected
	s.alive = redis.NewClient(&options)
	if err := s.alive.Ping(ctx).Err(); err != nil {
		_ = s.alive.Close() // the error is that it is of no use
		return nil, q.wrap("subscribe", err)
	}
	s.rest.Go(s.live)
	return s, nil
}

// connected notes which connection is this consumer's.
func (s *source) connected(ctx context.Context, c *redis.Conn) error {
	id, err := c.ClientID(ctx).Result()
	if err != nil {
		return err
	}
	info, err := c.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	run := field(info, "run_id")
	sign := fmt.Sprintf("%d|%s|%d", s.o.Visibility.Milliseconds(), run, id)
	s.run.Store(&run)
	if s.sign.Swap(&sign) == nil {
		return nil // the first fetch tells it
	}
	return helloScript.run(ctx, c, s.q.base, s.group, s.consumer, sign).Err()
}

// live keeps the connection alive in use until Close: it waits on it for Next, or shows that it is there.
func (s *source) live() {
	pause := firstBack
	for {
		var err error
		t := time.NewTimer(beat)
		select {
		case <-s.life.Done():
			t.Stop()
			return
		case a := <-s.asks:
			t.Stop()
			err = s.alive.XRead(context.WithoutCancel(s.life), &redis.XReadArgs{Streams: a.keys, Count: 1, Block: beat}).Err()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			if err != nil {
				s.pause(s.life, &pause)
			}
			close(a.answered)
		case <-t.C:
			err = s.alive.Ping(s.life).Err()
		}
		if err == nil {
			pause = firstBack
		}
	}
}

// pause waits a while, and longer the next time.
func (s *source) pause(ctx context.Context, pause *time.Duration) {
	t := time.NewTimer(*pause)
	defer t.Stop()
	*pause = min(2**pause, lastBack)
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (s *source) Next(ctx context.Context, most int) ([]*mq.Delivery, error) {
	for pause := firstBack; ; {
		switch {
		case s.life.Err() != nil:
			return nil, mq.ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		}
		ds, next, err := s.fetch(ctx, most)
		if len(ds) > 0 {
			return ds, nil
		}
		if err == nil {
			pause = firstBack
			s.idle(ctx, next)
			continue
		}
		if noQueue(err) || refused(err) {
			return nil, s.q.wrap("fetch", err)
		}
		if ctx.Err() == nil && s.life.Err() == nil {
			s.q.b.log.Warn("redis: a fetch failed, and is tried again", "queue", s.q.name, "group", s.group, "err", err)
		}
		s.pause(ctx, &pause)
	}
}

// fetch takes jobs. If there are none, next is what to wait for.
func (s *source) fetch(ctx context.Context, most int) (ds []*mq.Delivery, next ask, err error) {
	s.tend(ctx)
	if ds := s.fetchNew(ctx, most); len(ds) > 0 {
		return ds, next, nil
	}
	s.looked = time.Now()
	// The call is not broken off with ctx: it would take jobs that nobody gets to see. It has the client's time.
	x, err := fetchScript.run(context.WithoutCancel(ctx), s.q.b.client, s.q.base, s.group, s.consumer, *s.sign.Load(),
		most).Slice()
	if err != nil {
		return nil, next, err
	}
	list, _ := x[0].([]any)
	ds = s.deliveries(list)
	k := ""
	if len(x) > 2 {
		k, _ = x[2].(string)
	}
	if !s.q.has.Ordered && s.q.has.Partitions <= 1 {
		s.stream = s.q.base + "s:" + k + ":0"
	}
	if len(x) < 5 {
		return ds, next, nil
	}
	due, _ := x[1].(int64)
	last, _ := x[3].(string)
	wake, _ := x[4].(string)
	next.due = beat
	if due >= 0 {
		next.due = min(time.Duration(due)*time.Millisecond, beat)
	}
	next.keys = []string{s.q.base + "wake", wake}
	if !s.q.has.Ordered {
		next.keys = []string{s.q.base + "s:" + k + ":0", s.q.base + "wake", last, wake}
	}
	return ds, next, nil
}

// fetchNew takes jobs that nobody had, without the script, where that has just looked for others: an answer goes
// through a script twice, into its tables and out of them. It returns none where this is not the way, or has failed:
// the script says why.
func (s *source) fetchNew(ctx context.Context, most int) []*mq.Delivery {
	if s.stream == "" || time.Since(s.looked) > fresh {
		return nil
	}
	x, err := s.q.b.client.Do(context.WithoutCancel(ctx), "XREADGROUP", "GROUP", "g", s.consumer, "COUNT", most,
		"STREAMS", s.stream, ">").Slice()
	if err != nil || len(x) != 1 { // redis.Nil: there are none
		s.stream = ""
		return nil
	}
	of, _ := x[0].([]any)
	if len(of) != 2 {
		return nil
	}
	list, _ := of[1].([]any)
	for i, e := range list {
		entry, _ := e.([]any)
		if len(entry) != 2 {
			continue
		}
		id, _ := entry[0].(string)
		f, _ := entry[1].([]any)
		if len(f) == 2 { // as publish.lua puts it; else delivery tells of it
			list[i] = []any{"0:" + id, int64(1), f[1]}
		}
	}
	return s.deliveries(list)
}

// deliveries makes those of a list.
func (s *source) deliveries(list []any) (ds []*mq.Delivery) {
	for _, e := range list {
		d, err := delivery(e)
		if err != nil { // nobody can do it, and no history can say so: it stays, and is seen in the log each time it comes
			s.q.b.log.Error("redis: a job that can't be read", "queue", s.q.name, "err", err)
			continue
		}
		ds = append(ds, d)
	}
	return ds
}

// delivery makes one of what the script answers.
func delivery(e any) (*mq.Delivery, error) {
	f, _ := e.([]any)
	if len(f) < 3 {
		return nil, fmt.Errorf("the server has answered %v", e)
	}
	t := new(token)
	t.member, _ = f[0].(string)
	t.attempt, _ = f[1].(int64)
	job, _ := f[2].(string)
	t.size = len(job) + overhead
	m, published, err := unpack(job)
	if err != nil {
		return nil, fmt.Errorf("entry %s: %w", t.member, err)
	}
	d := &mq.Delivery{Message: m, Published: published, Attempt: int(t.attempt), Token: t}
	if len(f) > 3 {
		if h, ok := f[3].(string); ok {
			d.History = []byte(h)
		}
	}
	return d, nil
}

// idle waits until there may be something to fetch, or ctx has ended.
func (s *source) idle(ctx context.Context, next ask) {
	if s.wait == nil {
		next.answered = make(chan struct{})
		select {
		case s.asks <- next:
		case <-ctx.Done():
			return
		case <-s.life.Done():
			return
		}
		s.wait = &next
	}
	t := time.NewTimer(next.due) // the server ends a wait up to 100 ms late
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.wait.answered:
		s.wait = nil
	case <-ctx.Done():
	case <-s.life.Done():
	}
}

// tend gives jobs of dead consumers to others, now and then. Its errors are those that a fetch has too.
func (s *source) tend(ctx context.Context) {
	if time.Since(s.tended) < beat {
		return
	}
	s.tended = time.Now()
	gone := []any{s.group}
	now := s.absent(ctx)
	for consumer, sign := range now {
		if s.missing[consumer] == sign { // it had time for a new connection
			gone = append(gone, consumer, sign)
			delete(now, consumer)
			s.q.b.log.Info("redis: a consumer's connection has ended: its jobs go to others", "queue", s.q.name,
				"group", s.group, "consumer", consumer)
		}
	}
	s.missing = now
	// What it returns is for absent, which asks by itself.
	_ = reapScript.run(ctx, s.q.b.client, s.q.base, gone...).Err()
}

// absent are the consumers whose connection has ended.
func (s *source) absent(ctx context.Context) map[string]string {
	ended := make(map[string]string)
	if !s.q.b.can.SeesDeath {
		return ended
	}
	flat, err := signsScript.run(ctx, s.q.b.client, s.q.base, s.group).StringSlice()
	if err != nil {
		return ended
	}
	byID := make(map[string]string) // consumers
	args := []any{"CLIENT", "LIST", "ID"}
	for i := 0; i+1 < len(flat); i += 2 {
		f := strings.Split(flat[i+1], "|")
		if len(f) == 3 && f[1] == *s.run.Load() && flat[i] != s.consumer {
			byID[f[2]] = flat[i]
			ended[flat[i]] = flat[i+1]
			args = append(args, f[2])
		}
	}
	if len(ended) == 0 {
		return ended
	}
	text, err := s.q.b.client.Do(ctx, args...).Text()
	if err != nil {
		return map[string]string{}
	}
	for line := range strings.Lines(text) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		delete(ended, byID[id])
	}
	return ended
}

// An acking is one Ack.
type acking struct {
	t   *token
	err error
}

func (a *acking) partition() string {
	p, _, _ := strings.Cut(a.t.member, ":")
	return p
}

func (s *source) Ack(ctx context.Context, d *mq.Delivery) error {
	a := &acking{t: d.Token.(*token)}
	sent, err := s.acks.do(ctx, a, 1, 0)
	switch {
	case err == nil:
		return a.err
	case sent:
		a.t.unsure.Store(true)
	}
	return s.q.wrap("ack", err)
}

// ack acknowledges some jobs together. It changes their order.
func (s *source) ack(some []*acking) {
	slices.SortStableFunc(some, func(a, b *acking) int { return strings.Compare(a.partition(), b.partition()) })
	args := append(make([]any, 0, 5+3*len(some)), s.group, s.consumer, s.q.has.Ordered)
	for i := 0; i < len(some); {
		p, n := some[i].partition(), 1
		for i+n < len(some) && some[i+n].partition() == p {
			n++
		}
		args = append(args, p, n)
		for _, a := range some[i : i+n] {
			args = append(args, a.t.member[len(p)+1:], a.t.attempt, a.t.size)
		}
		i += n
	}
	answer, err := ackScript.run(context.Background(), s.q.b.client, s.q.base, args...).Int64Slice()
	if err == nil && len(answer) != len(some) {
		err = fmt.Errorf("the server has answered for %d jobs, of %d", len(answer), len(some))
	}
	for i, a := range some {
		n := int64(0)
		if err == nil {
			n = answer[i]
		}
		a.err = s.settled("ack", a.t, n, err)
	}
}

// What the scripts that settle a job answer.
const (
	notMine = 0
	noRoom  = 2
)

// settled is what an answer means.
func (s *source) settled(what string, t *token, answer int64, err error) error {
	switch {
	case err != nil:
		if !isReply(err) && !unsent(err) {
			t.unsure.Store(true)
		}
		return s.q.wrap(what, err)
	case answer == notMine && t.unsure.Load(): // it was settled by the call that seemed to fail
		return nil
	case answer == notMine:
		return mq.ErrLost
	case answer == noRoom:
		return fmt.Errorf("%w of dead jobs", mq.ErrFull)
	}
	return nil
}

// settle runs a script for one job.
func (s *source) settle(ctx context.Context, what string, f *script, d *mq.Delivery, args ...any) error {
	t := d.Token.(*token)
	all := append([]any{s.group, s.consumer, t.member, t.attempt}, args...)
	n, err := f.run(ctx, s.q.b.client, s.q.base, all...).Int64()
	return s.settled(what, t, n, err)
}

func (s *source) Nak(ctx context.Context, d *mq.Delivery, delay time.Duration, history []byte) error {
	ms := strconv.FormatInt((delay + time.Millisecond - 1).Milliseconds(), 10)
	return s.settle(ctx, "give back", nakScript, d, ms, history)
}

func (s *source) Extend(ctx context.Context, d *mq.Delivery) error {
	return s.settle(ctx, "extend", extendScript, d)
}

func (s *source) Bury(ctx context.Context, d *mq.Delivery, history []byte) error {
	return s.settle(ctx, "bury", buryScript, d, history)
}

func (s *source) Close() error {
	if s.life.Err() != nil {
		return mq.ErrClosed
	}
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	rested := make(chan struct{})
	go func() {
		s.rest.Wait()
		close(rested)
	}()
	if f := strings.Split(*s.sign.Load(), "|"); len(f) == 3 {
		// It may be refused, or too late: then the wait ends by itself, a beat later.
		_ = s.q.b.client.Do(ctx, "CLIENT", "UNBLOCK", f[2]).Err()
	}
	select {
	case <-rested:
	case <-ctx.Done(): // a server that stands still
	}
	err := s.alive.Close() // which ends what waits on it
	<-rested
	e := reapScript.run(ctx, s.q.b.client, s.q.base, s.group, s.consumer, *s.sign.Load()).Err()
	if err == nil && e != nil {
		err = s.q.wrap("give back what was taken", e)
	}
	return err
}
