package ipc

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// The values of a manager. All of it belongs to the one loop that the manager runs on: what one call of exec or batch
// does, nobody sees half done.

// A store is what the names stand for.
type store struct {
	opt     ManagerOptions
	objects map[string]*object
	bytes   int   // that they hold, with their overhead
	token   int64 // the last one given out; see newToken
}

// overhead is what a key, an item or a name counts besides its bytes.
const overhead = 64

// An object is what a name stands for. Of its fields those of its kind are used.
type object struct {
	name     string
	kind     kind
	size     int // as counted in store.bytes
	watchers []*watcher

	entries map[string][]byte // map
	items   [][]byte          // list, queue
	value   []byte            // value; nil: never set
	n       int64             // counter
	set     bool              // event

	bound   int64             // semaphore: units, barrier: parties, queue: items
	used    int64             // semaphore: units that are held
	holds   map[int64]*hold   // lock, semaphore: by token
	alone   *hold             // lock: the one that holds it exclusively
	waiting []*waiter         // lock, semaphore, event, barrier, queue: in the order in which they came
	parties map[*session]bool // barrier: who has ever waited
}

// A hold is a lock, or some units of a semaphore, in the hands of a client.
type hold struct {
	s     *session
	o     *object
	token int64
	units int64
}

// A waiter is a call that waits at an object.
type waiter struct {
	s  *session
	id uint64
	o  *object
	step
	cost int // bytes that it is counted with
}

// A refusal is why a step was not done.
type refusal struct {
	code int64
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int64, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// find is the object of a name; nil if there is none, and an error if it is of another kind.
func (st *store) find(name string, k kind) (*object, error) {
	o := st.objects[name]
	if o != nil && k != 0 && o.kind != k {
		return nil, refuse(codeKind, "%q is a %v, not a %v", name, o.kind, k)
	}
	return o, nil
}

// open is find that makes the object if there is none. It is bounded by grow.
func (st *store) open(name string, k kind) *object {
	o := st.objects[name]
	if o == nil {
		o = &object{name: name, kind: k}
		st.objects[name] = o
		st.charge(o, overhead+len(name))
	}
	return o
}

func (st *store) charge(o *object, n int) {
	o.size += n
	st.bytes += n
}

// room refuses what would be more than the options allow.
func (st *store) room(names, size int) error {
	switch {
	case len(st.objects)+names > st.opt.MaxObjects:
		return refuse(codeBound, "there are %d names already (ManagerOptions.MaxObjects)", len(st.objects))
	case st.bytes+size > st.opt.MaxMemory:
		return refuse(codeBound, "%d bytes are held already, and %d more are too many (ManagerOptions.MaxMemory)", st.bytes,
			size)
	}
	return nil
}

// cost is what a step may add to store.bytes at most.
func (s *step) cost() int { return 3*overhead + len(s.name) + len(s.a) + len(s.b) }

// A role is what a step is in a batch.
type role int

const (
	notInBatch role = iota
	isCheck
	isChange
)

func roleOf(o op) role {
	switch o {
	case opMapIs, opMapHas, opMapLacks, opValueIs, opValueLacks, opCounterIs, opLockIs, opEventIs:
		return isCheck
	case opMapSet, opMapDelete, opListInsert, opValueSet, opCounterAdd, opCounterSet, opEventSet, opEventClear:
		return isChange
	}
	return notInBatch
}

// batch does all steps or none: none if a check fails (statusNo) or one can't be done. What is refused is found before
// anything is changed, so that apply can't fail.
func (st *store) batch(steps []step) (reply, error) {
	made := map[string]kind{}
	sums := map[string]int64{} // what counters come to
	cost := 0
	for i := range steps {
		s := &steps[i]
		k := kindOf(s.op)
		o, err := st.find(s.name, k)
		if err != nil {
			return reply{}, err
		}
		switch roleOf(s.op) {
		case isCheck:
			if o == nil && made[s.name] != 0 && made[s.name] != k {
				return reply{}, refuse(codeKind, "%q would be a %v and a %v", s.name, made[s.name], k)
			}
		case isChange:
			if s.op == opListInsert && s.n != -1 {
				return reply{}, refuse(codeMalformed, "a batch may append to a list, not insert")
			}
			if o == nil {
				if was := made[s.name]; was != 0 && was != k {
					return reply{}, refuse(codeKind, "%q would be a %v and a %v", s.name, was, k)
				}
				made[s.name] = k
			}
			cost += s.cost()
			if k == kindCounter {
				n, counted := sums[s.name]
				if !counted && o != nil {
					n = o.n
				}
				if s.op == opCounterSet {
					n = 0
				}
				if overflows(n, s.n) {
					return reply{}, refuse(codeBound, "the counter %q is %d: adding %d overflows it", s.name, n, s.n)
				}
				sums[s.name] = n + s.n
			}
		default:
			return reply{}, refuse(codeMalformed, "step %d can't be part of a batch", i)
		}
	}
	if len(made) > 0 || cost > 0 {
		if err := st.room(len(made), cost); err != nil {
			return reply{}, err
		}
	}
	for i := range steps {
		if s := &steps[i]; roleOf(s.op) == isCheck {
			o, _ := st.find(s.name, kindOf(s.op)) // its kind was right above
			if !check(o, s) {
				return reply{status: statusNo, n: int64(i)}, nil
			}
		}
	}
	for i := range steps {
		if s := &steps[i]; roleOf(s.op) == isChange {
			st.apply(st.open(s.name, kindOf(s.op)), s)
		}
	}
	return reply{}, nil
}

// check is whether what a step asks for is so; o may be nil.
func check(o *object, s *step) bool {
	if o == nil {
		switch s.op {
		case opMapLacks, opValueLacks:
			return true
		case opCounterIs:
			return s.n == 0
		}
		return false
	}
	v, has := o.entries[string(s.a)]
	switch s.op {
	case opMapIs:
		return has && bytes.Equal(v, s.b)
	case opMapHas:
		return has
	case opMapLacks:
		return !has
	case opValueIs:
		return o.value != nil && bytes.Equal(o.value, s.a)
	case opValueLacks:
		return o.value == nil
	case opCounterIs:
		return o.n == s.n
	case opLockIs:
		return o.holds[s.n] != nil
	case opEventIs:
		return o.set
	}
	panic("ipc: check of an op that is none")
}

// apply does a change that can't fail, and returns the counter, or the length, after it.
func (st *store) apply(o *object, s *step) int64 {
	switch s.op {
	case opMapSet:
		old, has := o.entries[string(s.a)]
		if o.entries == nil {
			o.entries = make(map[string][]byte)
		}
		if !has {
			st.charge(o, overhead+len(s.a))
		}
		st.charge(o, len(s.b)-len(old))
		o.entries[string(s.a)] = append(make([]byte, 0, len(s.b)), s.b...)
		o.tell(s.op, 0, s.a, s.b)
	case opMapDelete:
		old, has := o.entries[string(s.a)]
		if !has {
			return 0
		}
		delete(o.entries, string(s.a))
		st.charge(o, -overhead-len(s.a)-len(old))
		o.tell(s.op, 0, s.a, nil)
		return 1
	case opListInsert:
		at := s.n
		if at == -1 {
			at = int64(len(o.items))
		}
		o.items = slices.Insert(o.items, int(at), bytes.Clone(s.a))
		st.charge(o, overhead+len(s.a))
		o.tell(s.op, at, nil, s.a)
		return int64(len(o.items))
	case opValueSet:
		st.charge(o, len(s.a)-len(o.value))
		o.value = append(make([]byte, 0, len(s.a)), s.a...)
		o.tell(s.op, 0, nil, s.a)
	case opCounterAdd:
		o.n += s.n
		o.tell(opCounterSet, o.n, nil, nil)
		return o.n
	case opCounterSet:
		o.n = s.n
		o.tell(s.op, o.n, nil, nil)
		return o.n
	case opEventSet:
		if !o.set {
			o.set = true
			o.tell(s.op, 0, nil, nil)
			for _, w := range st.takeAll(o) {
				w.done(reply{})
			}
		}
	case opEventClear:
		if o.set {
			o.set = false
			o.tell(s.op, 0, nil, nil)
		}
	default:
		panic("ipc: apply of an op that is none")
	}
	return 0
}

// exec does one step for a client. later means that there is no reply yet: the step waits.
func (st *store) exec(s *session, id uint64, p *step) (rp reply, later bool, err error) {
	k := kindOf(p.op)
	o, err := st.find(p.name, k)
	if err != nil {
		return reply{}, false, err
	}
	switch roleOf(p.op) {
	case isCheck:
		return reply{status: no(check(o, p))}, false, nil
	case isChange:
		switch { // nothing is made for what changes nothing
		case p.op == opMapDelete && o == nil:
			return reply{status: statusNo}, false, nil
		case p.op == opCounterAdd && p.n == 0 && o == nil:
			return reply{}, false, nil
		case p.op == opCounterAdd && p.n == 0:
			return reply{n: o.n}, false, nil
		}
		if p.op == opListInsert {
			if n := o.len(); p.n < -1 || p.n > int64(n) {
				return reply{}, false, refuse(codeIndex, "index %d of a list of %d", p.n, n)
			}
		}
		if p.op == opCounterAdd && o != nil && overflows(o.n, p.n) {
			return reply{}, false, refuse(codeBound, "the counter is %d: adding %d overflows it", o.n, p.n)
		}
		if p.op != opMapDelete {
			if err := st.room(names(o), p.cost()); err != nil {
				return reply{}, false, err
			}
		}
		n := st.apply(st.open(p.name, k), p)
		return reply{status: no(p.op != opMapDelete || n == 1), n: n}, false, nil
	}
	switch {
	case k == kindMap || k == kindList || k == kindValue:
		rp, err = st.read(o, p)
		return rp, false, err
	case k == kindQueue && p.op == opQueueLen:
		return reply{n: int64(o.len())}, false, nil
	case k != 0:
		return st.wait(s, id, o, p)
	}
	return st.manage(s, id, o, p)
}

func overflows(a, b int64) bool {
	return b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b
}

func no(yes bool) byte {
	if yes {
		return statusOK
	}
	return statusNo
}

// names is how many names it takes to have o.
func names(o *object) int {
	if o == nil {
		return 1
	}
	return 0
}

// len is the number of items; of nothing it is 0.
func (o *object) len() int {
	if o == nil {
		return 0
	}
	return len(o.items)
}

// read does what reads maps, lists and values, and the changes of lists that may fail.
func (st *store) read(o *object, p *step) (reply, error) {
	if o == nil {
		o = &object{} // as one that was just made
	}
	switch p.op {
	case opMapGet:
		v, has := o.entries[string(p.a)]
		if !has {
			return reply{status: statusNo}, nil
		}
		return reply{items: [][]byte{v}}, nil
	case opMapLen:
		return reply{n: int64(len(o.entries))}, nil
	case opMapAll:
		items := make([][]byte, 0, 2*len(o.entries))
		for k, v := range o.entries {
			items = append(items, []byte(k), v)
		}
		return st.whole(items)
	case opListLen:
		return reply{n: int64(len(o.items))}, nil
	case opListAll:
		return st.whole(o.items)
	case opValueGet:
		if o.value == nil {
			return reply{status: statusNo}, nil
		}
		return reply{items: [][]byte{o.value}}, nil
	}
	// An item of a list.
	if p.n < 0 || p.n >= int64(len(o.items)) {
		return reply{}, refuse(codeIndex, "index %d of a list of %d", p.n, len(o.items))
	}
	switch old := o.items[p.n]; p.op {
	case opListGet:
		return reply{items: [][]byte{old}}, nil
	case opListSet:
		if err := st.room(0, p.cost()); err != nil {
			return reply{}, err
		}
		st.charge(o, len(p.a)-len(old))
		o.items[p.n] = bytes.Clone(p.a)
		o.tell(p.op, p.n, nil, p.a)
		return reply{}, nil
	case opListRemove:
		st.charge(o, -overhead-len(old))
		o.items = slices.Delete(o.items, int(p.n), int(p.n)+1)
		o.tell(p.op, p.n, nil, nil)
		return reply{items: [][]byte{old}}, nil
	}
	panic("ipc: read of an op that is none: " + strconv.Itoa(int(p.op)))
}

// whole is a reply with all items, if they fit into a message.
func (st *store) whole(items [][]byte) (reply, error) {
	size := 64
	for _, it := range items {
		size += len(it) + 10
	}
	if size > st.opt.MaxMessage {
		return reply{}, refuse(codeBound, "all of it is longer than a message (ManagerOptions.MaxMessage is %d)",
			st.opt.MaxMessage)
	}
	return reply{items: items}, nil
}
