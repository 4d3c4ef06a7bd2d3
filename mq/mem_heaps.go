package mq

import "time"

// memReady are the items that can be handed out: a heap of package container/heap, by priority, and by age.
type memReady []*memItem

func (h memReady) Len() int { return len(h) }
func (h memReady) Less(a, b int) bool {
	if p, q := h[a].job.Priority, h[b].job.Priority; p != q {
		return p > q
	}
	return h[a].job.seq < h[b].job.seq
}
func (h memReady) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].index, h[b].index = a, b
}
func (h *memReady) Push(x any) { push((*[]*memItem)(h), x.(*memItem)) }
func (h *memReady) Pop() any   { return pop((*[]*memItem)(h)) }

// memTimed are the items that wait for a time: a heap of package container/heap.
type memTimed []*memItem

func (h memTimed) Len() int { return len(h) }
func (h memTimed) Less(a, b int) bool {
	if !h[a].at.Equal(h[b].at) {
		return h[a].at.Before(h[b].at)
	}
	return h[a].job.seq < h[b].job.seq
}
func (h memTimed) Swap(a, b int) { memReady(h).Swap(a, b) }
func (h *memTimed) Push(x any)   { push((*[]*memItem)(h), x.(*memItem)) }
func (h *memTimed) Pop() any     { return pop((*[]*memItem)(h)) }

func push(h *[]*memItem, i *memItem) {
	i.index = len(*h)
	*h = append(*h, i)
}

func pop(h *[]*memItem) *memItem {
	last := len(*h) - 1
	i := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return i
}

// memIDs are the IDs of a queue with Dedupe, oldest first.
type memIDs []memID

type memID struct {
	id    string
	until time.Time
}

// expire forgets those whose time is over.
func (l *memIDs) expire(now time.Time, ids map[string]struct{}) {
	for len(*l) > 0 && !(*l)[0].until.After(now) {
		delete(ids, (*l)[0].id)
		(*l)[0] = memID{}
		*l = (*l)[1:]
	}
}
