package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/plexor-go/plexor/internal/mqwire"
	"github.com/plexor-go/plexor/mq"
)

// A queue is one that was opened.
type queue struct {
	b         *backend
	name      string
	base      string
	has       mq.QueueOptions
	publisher combiner[*publishing]
}

// A publishing is one call of Publish, as the script has it. It keeps nothing of the caller's.
type publishing struct {
	args []any // perJob for each job
	errs []error
	dup  []bool
}

const (
	perJob   = 6  // arguments of the script for each job
	overhead = 64 // bytes that a job is charged besides its body and what it has with it
)

// What the script answers for each job.
const (
	isStored = iota + 1
	isDuplicate
	isFull
)

var errNoAnswer = fmt.Errorf("the server has not answered for %v", answer)

func (q *queue) Settings() mq.QueueOptions { return q.has }

func (q *queue) Publish(ctx context.Context, ms []*mq.Message, rs []mq.Receipt) {
	p := &publishing{args: make([]any, 0, len(ms)*perJob), errs: make([]error, len(ms)), dup: make([]bool, len(ms))}
	bytes, now := 0, time.Now()
	for _, m := range ms {
		text := mqwire.Encode(m, now)
		size := len(text) + len(m.Body) + overhead
		bytes += size
		var ms int64
		if !m.NotBefore.IsZero() {
			ms = (m.NotBefore.UnixNano() + int64(time.Millisecond) - 1) / int64(time.Millisecond) // not a moment before
		}
		p.args = append(p.args, m.ID, mq.Partition(m, q.has.Partitions), ms, size, text, string(m.Body))
	}
	most := answer // of its turn and the call: others may be before it
	if q.b.target.replicas > 0 {
		most += 2 * ReplicaWait // a second time for the script, which the server may not have
	}
	ctx, cancel := context.WithTimeoutCause(ctx, most, errNoAnswer)
	defer cancel()
	sent, err := q.publisher.do(ctx, p, len(ms), bytes)
	for i := range rs {
		switch {
		case err != nil && sent:
			rs[i].Err = &mq.PublishError{Stored: mq.PerhapsStored, Err: err}
		case err != nil:
			rs[i].Err = &mq.PublishError{Stored: mq.NotStored, Err: err}
		default:
			rs[i].Err, rs[i].Duplicate = p.errs[i], p.dup[i]
		}
	}
}

// store stores the jobs of some calls, in one call of the script.
func (q *queue) store(ps []*publishing) {
	args := []any{q.base}
	for _, p := range ps {
		args = append(args, p.args...)
	}
	ctx := context.Background() // the time for it is the client's; who waits no longer has gone
	answer, replicas, err := q.call(ctx, args)
	if err == nil && len(answer) != (len(args)-1)/perJob {
		err = fmt.Errorf("the server has answered for %d jobs, of %d", len(answer), (len(args)-1)/perJob)
	}
	for _, p := range ps {
		for i := range p.errs {
			if err != nil {
				p.errs[i] = published(err)
				continue
			}
			switch answer[0] {
			case isFull:
				p.errs[i] = mq.ErrFull
			case isDuplicate:
				p.dup[i] = true
			}
			if p.errs[i] == nil && replicas != nil {
				p.errs[i] = &mq.PublishError{Stored: mq.IsStored, Err: replicas}
			}
			answer = answer[1:]
		}
	}
}

// call runs the script, and waits for the replicas if it is to: replicas is why they are not enough.
func (q *queue) call(ctx context.Context, args []any) (answer []int64, replicas, err error) {
	want := q.b.target.replicas
	for _, text := range []bool{false, true} { // the second time the server does not have the script yet
		var cmd, wait *redis.Cmd
		// The error is that of the first command that failed, and each has its own.
		_, _ = q.b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
			if text {
				cmd = p.Eval(ctx, publishScript.text, nil, args...)
			} else {
				cmd = p.EvalSha(ctx, publishScript.hash, nil, args...)
			}
			if want > 0 {
				wait = p.Do(ctx, "WAIT", want, ReplicaWait.Milliseconds())
			}
			return nil
		})
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") && !text {
			continue
		}
		answer, err := cmd.Int64Slice()
		if err != nil || wait == nil {
			return answer, nil, err
		}
		n, err := wait.Int()
		if err != nil {
			return answer, fmt.Errorf("the replicas: %w", err), nil
		}
		if n < want {
			return answer, fmt.Errorf("%d replicas have it, of %d that the URL asks for", n, want), nil
		}
		return answer, nil, nil
	}
	return nil, nil, errors.New("the server does not keep a script") // not reached: EVAL needs none
}

// published tells what is known of jobs by an error.
func published(err error) error {
	stored := mq.PerhapsStored
	switch {
	case unsent(err):
		stored = mq.NotStored
	case redis.HasErrorPrefix(err, "OOM"):
		return &mq.PublishError{Stored: mq.NotStored, Err: fmt.Errorf("%w: the server's memory is: %w", mq.ErrFull, err)}
	case noQueue(err):
		return &mq.PublishError{Stored: mq.NotStored, Err: mq.ErrNoQueue}
	case isReply(err):
		// What the server refuses before it runs the script.
		for _, p := range []string{"LOADING", "READONLY", "MISCONF", "BUSY", "NOREPLICAS", "MASTERDOWN", "NOSCRIPT"} {
			if redis.HasErrorPrefix(err, p) {
				stored = mq.NotStored
			}
		}
		if refused(err) {
			stored = mq.NotStored
		}
	}
	return &mq.PublishError{Stored: stored, Err: err}
}

// wrap says what failed.
func (q *queue) wrap(what string, err error) error {
	if noQueue(err) {
		err = mq.ErrNoQueue
	}
	return fmt.Errorf("redis: queue %s: %s: %w", q.name, what, err)
}

func (q *queue) Group(ctx context.Context, group string) error {
	if err := groupScript.run(ctx, q.b.client, q.base, group).Err(); err != nil {
		return q.wrap("make group "+group, err)
	}
	return nil
}

func (q *queue) Dead(ctx context.Context, after string, most int) ([]mq.DeadJob, error) {
	from := "-"
	if after != "" {
		if !isRef(after) {
			return nil, fmt.Errorf("%w: %q names no dead job", mq.ErrNoJob, after)
		}
		from = "(" + after
	}
	list, err := q.b.client.XRangeN(ctx, q.base+"dead", from, "+", int64(most)).Result()
	if err != nil {
		return nil, q.wrap("list dead jobs", err)
	}
	jobs := make([]mq.DeadJob, len(list))
	for i, x := range list {
		get := func(name string) string { s, _ := x.Values[name].(string); return s }
		m, published, err := mqwire.Decode([]byte(get("m")))
		if err != nil {
			return nil, q.wrap("dead job "+x.ID, err)
		}
		m.Body = []byte(get("b"))
		ms, _, _ := strings.Cut(x.ID, "-")
		died, err := strconv.ParseInt(ms, 10, 64)
		if err != nil {
			return nil, q.wrap("dead job "+x.ID, err)
		}
		history, err := mq.ParseHistory([]byte(get("h")))
		if err != nil {
			q.b.log.Warn("redis: a dead job's history", "queue", q.name, "ref", x.ID, "err", err)
		}
		jobs[i] = mq.DeadJob{Message: m, Ref: x.ID, Queue: q.name, Group: get("g"), Published: published,
			Died: time.UnixMilli(died), History: history}
	}
	return jobs, nil
}

// isRef reports whether s can be the ID of an entry: "time-number".
func isRef(s string) bool {
	a, b, ok := strings.Cut(s, "-")
	_, errA := strconv.ParseUint(a, 10, 64)
	_, errB := strconv.ParseUint(b, 10, 64)
	return ok && errA == nil && errB == nil
}

func (q *queue) Redrive(ctx context.Context, ref string) error { return q.dead(ctx, "redrive", ref) }

func (q *queue) Drop(ctx context.Context, ref string) error { return q.dead(ctx, "drop", ref) }

func (q *queue) dead(ctx context.Context, what, ref string) error {
	if !isRef(ref) {
		return mq.ErrNoJob
	}
	n, err := deadScript.run(ctx, q.b.client, q.base, what, ref).Int()
	switch {
	case err != nil:
		return q.wrap(what+" a dead job", err)
	case n == 0:
		return mq.ErrNoJob
	}
	return nil
}

func (q *queue) Stats(ctx context.Context) (s mq.QueueStats, err error) {
	x, err := statsScript.run(ctx, q.b.client, q.base).Slice()
	if err == nil && len(x) != 5 {
		err = fmt.Errorf("the server has answered %v", x)
	}
	if err != nil {
		return s, q.wrap("count", err)
	}
	num := func(v any) int64 { n, _ := v.(int64); return n }
	s.Jobs, s.Bytes, s.Dead = num(x[0]), num(x[1]), num(x[2])
	if ms := num(x[3]); ms > 0 {
		s.Oldest = time.UnixMilli(ms)
	}
	groups, _ := x[4].([]any)
	for _, g := range groups {
		if g, _ := g.([]any); len(g) == 3 {
			name, _ := g[0].(string)
			s.Groups = append(s.Groups, mq.GroupStats{Name: name, Waiting: num(g[1]), InFlight: num(g[2])})
		}
	}
	return s, nil
}
