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

// A publishing is one call of Publish. It keeps nothing of the caller's.
type publishing struct {
	jobs  []published
	plain bool // as publish.lua has it
	errs  []error
	dup   []bool
}

// A published is one job, as the script has it.
type published struct {
	id        string
	partition int
	notBefore int64  // ms since 1970; 0: it does not wait
	job       string // see pack
}

// overhead is how many bytes a job is charged besides what pack makes of it. The scripts charge it too.
const overhead = 64

// pack makes one string of a job: what mqwire makes of it, which has no newline, one, and the body.
func pack(m *mq.Message, now time.Time) string {
	text := mqwire.Encode(m, now)
	var b strings.Builder
	b.Grow(len(text) + 1 + len(m.Body))
	b.Write(text)
	b.WriteByte('\n')
	b.Write(m.Body)
	return b.String()
}

// unpack makes a job of what pack has made.
func unpack(job string) (mq.Message, time.Time, error) {
	text, body, _ := strings.Cut(job, "\n")
	m, at, err := mqwire.Decode([]byte(text))
	m.Body = []byte(body)
	return m, at, err
}

// What the script answers for each job.
const (
	isStored = iota + 1
	isDuplicate
	isFull
)

var errNoAnswer = fmt.Errorf("the server has not answered for %v", answer)

func (q *queue) Settings() mq.QueueOptions { return q.has }

func (q *queue) Publish(ctx context.Context, ms []*mq.Message, rs []mq.Receipt) {
	p := &publishing{jobs: make([]published, len(ms)), errs: make([]error, len(ms)), dup: make([]bool, len(ms)),
		plain: q.has.Partitions == 1 && q.has.Dedupe == 0}
	bytes, now := 0, time.Now()
	for i, m := range ms {
		j := published{m.ID, mq.Partition(m, q.has.Partitions), 0, pack(m, now)}
		bytes += len(j.job) + overhead
		if !m.NotBefore.IsZero() {
			j.notBefore = (m.NotBefore.UnixNano() + int64(time.Millisecond) - 1) / int64(time.Millisecond) // not a moment before
			p.plain = false
		}
		p.jobs[i] = j
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

// storeAlone stores the jobs of one call on a line, if there is a free one. sent tells whether the server may have them
// where err says that ctx has ended.
func (q *queue) storeAlone(ctx context.Context, p *publishing) (done, sent bool, err error) {
	l := q.b.takeLine()
	if l == nil {
		return false, false, nil
	}
	defer q.b.giveLine(l)
	err = l.call(ctx, func(ctx context.Context, c redis.Cmdable) error { return q.store(ctx, c, []*publishing{p}) })
	if err == nil || ctx.Err() == nil || isReply(err) {
		return true, true, nil // p has it
	}
	return true, !errors.Is(err, ctx.Err()), context.Cause(ctx) // the context's own error is that of who waits to connect
}

// store stores the jobs of some calls, in one call of the script. Its error is in all of them, too.
func (q *queue) store(ctx context.Context, c redis.Cmdable, ps []*publishing) error {
	args, jobs := arguments(q.base, ps)
	answer, replicas, err := q.call(ctx, c, args)
	if err == nil && answer != nil && len(answer) != jobs {
		err = fmt.Errorf("the server has answered for %d jobs, of %d", len(answer), jobs)
	}
	for _, p := range ps {
		for i := range p.errs {
			if err != nil {
				p.errs[i] = unpublished(err)
				continue
			}
			is := int64(isStored)
			if answer != nil {
				is, answer = answer[0], answer[1:]
			}
			switch is {
			case isFull:
				p.errs[i] = mq.ErrFull
			case isDuplicate:
				p.dup[i] = true
			}
			if p.errs[i] == nil && replicas != nil {
				p.errs[i] = &mq.PublishError{Stored: mq.IsStored, Err: replicas}
			}
		}
	}
	return err
}

// arguments are those of publish.lua for some calls.
func arguments(base string, ps []*publishing) (args []any, jobs int) {
	plain := true
	for _, p := range ps {
		plain = plain && p.plain
		jobs += len(p.jobs)
	}
	if plain {
		args = append(make([]any, 0, 2+jobs), base, "plain")
	} else {
		args = append(make([]any, 0, 2+4*jobs), base, "full")
	}
	for _, p := range ps {
		for _, j := range p.jobs {
			if !plain {
				args = append(args, j.id, j.partition, j.notBefore)
			}
			args = append(args, j.job)
		}
	}
	return args, jobs
}

// call runs the script, and waits for the replicas if it is to: replicas is why they are not enough. The answer is nil
// where all jobs are stored.
func (q *queue) call(ctx context.Context, c redis.Cmdable, args []any) (answer []int64, replicas, err error) {
	for _, text := range []bool{false, true} { // the second time the server does not have the script yet
		var cmd, wait *redis.Cmd
		// The error is that of the first command that failed, and each has its own.
		_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error {
			if text {
				cmd = p.Eval(ctx, publishScript.text, nil, args...)
			} else {
				cmd = p.EvalSha(ctx, publishScript.hash, nil, args...)
			}
			wait = q.wait(ctx, p)
			return nil
		})
		if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") && !text {
			continue
		}
		if cmd.Err() != nil {
			return nil, nil, cmd.Err()
		}
		if cmd.Val() != int64(isStored) {
			answer, err = cmd.Int64Slice()
		}
		return answer, q.waited(wait), err
	}
	return nil, nil, errors.New("the server does not keep a script") // not reached: EVAL needs none
}

// wait has the pipeline wait for the replicas that the URL asks for; nil: it asks for none.
func (q *queue) wait(ctx context.Context, p redis.Pipeliner) *redis.Cmd {
	if q.b.target.replicas == 0 {
		return nil
	}
	return p.Do(ctx, "WAIT", q.b.target.replicas, ReplicaWait.Milliseconds())
}

// waited is why the replicas are not enough; nil: they are.
func (q *queue) waited(wait *redis.Cmd) error {
	if wait == nil {
		return nil
	}
	n, err := wait.Int()
	switch want := q.b.target.replicas; {
	case err != nil:
		return fmt.Errorf("the replicas: %w", err)
	case n < want:
		return fmt.Errorf("%d replicas have it, of %d that the URL asks for", n, want)
	}
	return nil
}

// unpublished tells what is known of jobs by an error.
func unpublished(err error) error {
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
		m, published, err := unpack(get("j"))
		if err != nil {
			return nil, q.wrap("dead job "+x.ID, err)
		}
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
