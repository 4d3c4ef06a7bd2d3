package mq

import (
	"container/heap"
	"maps"
	"slices"
	"strconv"
	"time"
)

// A memQueue is a queue in memory, as a machine: it takes the time and what happens as arguments, and never reads a
// clock, waits, or starts anything. Its time must not be one goroutine's while another's call runs: memStore has a
// lock.
//
// A job is stored once, and each group has an item of it, which is in one place at a time:
//
//	held ──▶ timed ◀──▶ ready ──▶ out (timed, too: until it is settled, or its visibility ends)
//	 │ the job before it with its key is settled                  │
//	 └ an ordered queue's: another job with its key is before it  └──▶ ready or timed again, or gone
type memQueue struct {
	name    string
	o       QueueOptions
	seq     uint64 // of the last job, and of the last dead one
	jobs    int64
	bytes   int64
	groups  map[string]*memGroup // "": of nobody yet, the first group's when that comes
	ids     map[string]struct{}  // of a time of o.Dedupe
	idOrder memIDs
	dead    []*memDead // by ref
}

// memOverhead is charged for each job besides its bytes: the structs, map entries and pointers of it.
const memOverhead = 512

// memIDsPer is how many IDs may be kept for each job that fits: beyond, the queue counts as full. It bounds the table
// of a queue whose jobs come and go fast, with a long window.
const memIDsPer = 4

type memJob struct {
	Message
	published time.Time
	seq       uint64
	bytes     int64
	groups    int // that are not done with it
}

type memItem struct {
	job     *memJob
	attempt int
	history []byte
	at      time.Time  // of the timed: when it is ready; of those that are out: when they are again
	index   int        // in the heap that it is in
	out     *memSource // who has it; nil: nobody
}

type memGroup struct {
	name    string
	ready   memReady
	timed   memTimed
	keys    map[string]*memKey // of an ordered queue
	out     int
	held    int
	sources []*memSource
}

// A memKey is the jobs with a key: the one that is ready, timed or out, and those after it.
type memKey struct{ held []*memItem }

type memDead struct {
	job     *memJob
	ref     uint64
	group   string
	died    time.Time
	history []byte
}

func newMemQueue(name string, o QueueOptions) *memQueue {
	q := &memQueue{name: name, o: o.Fill(), groups: make(map[string]*memGroup), ids: make(map[string]struct{})}
	q.groups[""] = newMemGroup("")
	return q
}

func newMemGroup(name string) *memGroup { return &memGroup{name: name, keys: make(map[string]*memKey)} }

// group makes one, or finds it.
func (q *memQueue) group(name string) *memGroup {
	if g := q.groups[name]; g != nil {
		return g
	}
	g := q.groups[""]
	if g == nil {
		g = newMemGroup(name)
	}
	delete(q.groups, "")
	g.name, q.groups[name] = name, g
	return g
}

// publish stores a job.
func (q *memQueue) publish(now time.Time, m *Message) (duplicate bool, err error) {
	q.idOrder.expire(now, q.ids)
	if _, ok := q.ids[m.ID]; ok {
		return true, nil
	}
	j := &memJob{Message: *m, published: now}
	j.Body, j.Header = slices.Clone(m.Body), maps.Clone(m.Header)
	if q.full(j) || int64(len(q.ids)) >= memIDsPer*q.o.MaxJobs {
		return false, ErrFull
	}
	if q.o.Dedupe > 0 {
		q.ids[m.ID] = struct{}{}
		q.idOrder = append(q.idOrder, memID{m.ID, now.Add(q.o.Dedupe)})
	}
	q.store(now, j, slices.Collect(maps.Values(q.groups)))
	return false, nil
}

// full charges a job, and reports that there is no room.
func (q *memQueue) full(j *memJob) bool {
	j.bytes = memOverhead + int64(len(j.Body)+len(j.ID)+len(j.Key))
	for name, value := range j.Header {
		j.bytes += int64(len(name) + len(value))
	}
	return q.jobs >= q.o.MaxJobs || q.bytes+j.bytes > q.o.MaxBytes
}

func (q *memQueue) store(now time.Time, j *memJob, groups []*memGroup) {
	q.seq++
	j.seq, j.groups = q.seq, len(groups)
	q.jobs++
	q.bytes += j.bytes
	for _, g := range groups {
		q.place(now, g, &memItem{job: j, at: j.NotBefore})
	}
}

// place puts a new item where it belongs.
func (q *memQueue) place(now time.Time, g *memGroup, i *memItem) {
	if q.o.Ordered && i.job.Key != "" {
		if k := g.keys[i.job.Key]; k != nil {
			k.held = append(k.held, i)
			g.held++
			return
		}
		g.keys[i.job.Key] = new(memKey)
	}
	g.wait(now, i)
}

// wait puts an item among the timed or the ready.
func (g *memGroup) wait(now time.Time, i *memItem) {
	if i.at.After(now) {
		heap.Push(&g.timed, i)
	} else {
		heap.Push(&g.ready, i)
	}
}

// tick makes ready what is due.
func (q *memQueue) tick(now time.Time) {
	for _, g := range q.groups {
		for len(g.timed) > 0 && !g.timed[0].at.After(now) {
			i := g.timed[0]
			g.takeBack(i)
			heap.Push(&g.ready, i)
		}
	}
}

// takeBack removes an item from the timed, and from who has it.
func (g *memGroup) takeBack(i *memItem) {
	heap.Remove(&g.timed, i.index)
	if i.out != nil {
		delete(i.out.has, i)
		i.out = nil
		g.out--
	}
}

// next is when tick is to be called; zero: never, as it is.
func (q *memQueue) next() (at time.Time) {
	for _, g := range q.groups {
		if len(g.timed) > 0 && (at.IsZero() || g.timed[0].at.Before(at)) {
			at = g.timed[0].at
		}
	}
	return at
}

// take hands out jobs.
func (q *memQueue) take(now time.Time, g *memGroup, s *memSource, most int) (ds []*Delivery) {
	q.tick(now)
	for len(g.ready) > 0 && len(ds) < most && len(s.has) < s.o.InFlight {
		i := heap.Pop(&g.ready).(*memItem)
		i.attempt++
		i.out, i.at = s, now.Add(s.o.Visibility)
		s.has[i] = struct{}{}
		g.out++
		heap.Push(&g.timed, i)
		m := i.job.Message
		m.Body, m.Header = slices.Clone(m.Body), maps.Clone(m.Header)
		ds = append(ds, &Delivery{Message: m, Published: i.job.published, Attempt: i.attempt, History: i.history,
			Token: memToken{i, i.attempt}})
	}
	return ds
}

// A memToken names an item, as it was handed out that time.
type memToken struct {
	i       *memItem
	attempt int
}

// mine finds the item of a delivery, if it is still with that source.
func (q *memQueue) mine(now time.Time, s *memSource, d *Delivery) (*memItem, error) {
	q.tick(now)
	t := d.Token.(memToken)
	if t.i.out != s || t.i.attempt != t.attempt {
		return nil, ErrLost
	}
	return t.i, nil
}

// ack: the group is done with it.
func (q *memQueue) ack(now time.Time, g *memGroup, i *memItem) {
	g.takeBack(i)
	if key := i.job.Key; q.o.Ordered && key != "" {
		if k := g.keys[key]; len(k.held) > 0 {
			next := k.held[0]
			k.held = k.held[1:]
			g.held--
			g.wait(now, next)
		} else {
			delete(g.keys, key)
		}
	}
	if i.job.groups--; i.job.groups == 0 {
		q.jobs--
		q.bytes -= i.job.bytes
	}
}

func (q *memQueue) nak(now time.Time, g *memGroup, i *memItem, delay time.Duration, history []byte) {
	g.takeBack(i)
	i.at, i.history = now.Add(delay), slices.Clone(history)
	g.wait(now, i)
}

func (q *memQueue) extend(now time.Time, g *memGroup, i *memItem) {
	i.at = now.Add(i.out.o.Visibility)
	heap.Fix(&g.timed, i.index)
}

func (q *memQueue) bury(now time.Time, g *memGroup, i *memItem, history []byte) error {
	if int64(len(q.dead)) >= q.o.MaxDead {
		return ErrFull
	}
	q.ack(now, g, i)
	q.seq++
	q.dead = append(q.dead, &memDead{i.job, q.seq, g.name, now, slices.Clone(history)})
	return nil
}

// close gives back what a source has.
func (q *memQueue) close(now time.Time, g *memGroup, s *memSource) {
	for i := range s.has {
		g.takeBack(i)
		heap.Push(&g.ready, i)
	}
}

func (q *memQueue) findDead(ref string) (int, error) {
	n, err := strconv.ParseUint(ref, 10, 64)
	i, ok := slices.BinarySearchFunc(q.dead, n, func(d *memDead, n uint64) int { return int(int64(d.ref - n)) })
	if err != nil || !ok {
		return 0, ErrNoJob
	}
	return i, nil
}

func (q *memQueue) listDead(after string, most int) (ds []DeadJob) {
	n, err := strconv.ParseUint(after, 10, 64)
	if err != nil {
		n = 0
	}
	for _, d := range q.dead {
		if d.ref > n && len(ds) < most {
			h, err := ParseHistory(d.history)
			if err != nil {
				h = History{} // nobody but the core writes it
			}
			m := d.job.Message
			m.Body, m.Header = slices.Clone(m.Body), maps.Clone(m.Header)
			ds = append(ds, DeadJob{Message: m, Ref: strconv.FormatUint(d.ref, 10), Queue: q.name, Group: d.group,
				Published: d.job.published, Died: d.died, History: h})
		}
	}
	return ds
}

func (q *memQueue) redrive(now time.Time, ref string) error {
	i, err := q.findDead(ref)
	if err != nil {
		return err
	}
	d := q.dead[i]
	j := &memJob{Message: d.job.Message, published: d.job.published}
	j.NotBefore = time.Time{}
	if q.full(j) {
		return ErrFull
	}
	q.dead = slices.Delete(q.dead, i, i+1)
	q.store(now, j, []*memGroup{q.group(d.group)})
	return nil
}

func (q *memQueue) drop(ref string) error {
	i, err := q.findDead(ref)
	if err == nil {
		q.dead = slices.Delete(q.dead, i, i+1)
	}
	return err
}

func (q *memQueue) stats() QueueStats {
	s := QueueStats{Jobs: q.jobs, Bytes: q.bytes, Dead: int64(len(q.dead))}
	for _, name := range slices.Sorted(maps.Keys(q.groups)) {
		g := q.groups[name]
		for _, i := range slices.Concat([]*memItem(g.ready), g.timed) {
			if s.Oldest.IsZero() || i.job.published.Before(s.Oldest) {
				s.Oldest = i.job.published
			}
		}
		if name != "" {
			s.Groups = append(s.Groups, GroupStats{name, int64(len(g.ready) + len(g.timed) + g.held - g.out), int64(g.out)})
		}
	}
	return s
}
