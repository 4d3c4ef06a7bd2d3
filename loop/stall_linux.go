package loop

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// mostThreads bounds how many threads of the process a look asks about; it takes some 20 µs each, while a handler holds
// its loop.
const mostThreads = 64

// A starvation is how long threads could have run and had no processor, since the first look.
type starvation struct {
	threads map[int64]*threadTime
}

// A threadTime is what the kernel says of a thread.
type threadTime struct {
	ran, waited, slices int64         // at the last look; ns, ns, and how often it got a processor
	base, baseRan       int64         // waited and ran at the first look
	pending             time.Duration // has not run for so long, though it could: waited counts what is over only
}

// look is called after each gap. thread is the one that counts; 0: the one that waited most does, but for the caller's
// own, which has a processor. It is 0 if the kernel does not tell (/proc is not there, or it counts no such times).
// ran is how long they had a processor, together; negative: it does not tell.
func (s *starvation) look(thread int64, gap time.Duration) (most, ran time.Duration) {
	if s.threads == nil {
		s.threads = make(map[int64]*threadTime)
	}
	ids := []int64{thread}
	if thread == 0 {
		ids = ownThreads()
	}
	ran = -1
	for _, id := range ids {
		t, known := s.threads[id]
		if !known {
			if t = new(threadTime); !t.read(id) {
				continue
			}
			s.threads[id] = t
			t.base, t.baseRan = t.waited, t.ran
			continue
		}
		was := *t
		if !t.read(id) {
			delete(s.threads, id)
			continue
		}
		if t.ran == was.ran && t.slices == was.slices && runnable(id) {
			t.pending += gap
		} else {
			t.pending = 0
		}
		most = max(most, time.Duration(t.waited-t.base)+t.pending)
		ran = max(ran, 0) + time.Duration(t.ran-t.baseRan)
	}
	return most, ran
}

// ownThreads are the process's threads without the one that asks.
func ownThreads() (ids []int64) {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(mostThreads) // what there is of them
	own := ownThread()
	for _, n := range names {
		if id, err := strconv.ParseInt(n, 10, 64); err == nil && id != own {
			ids = append(ids, id)
		}
	}
	return ids
}

func ownThread() int64 { return int64(unix.Gettid()) }

// read reads /proc/self/task/N/schedstat: "ran waited slices", see proc(5) and Documentation/scheduler/sched-stats.
func (t *threadTime) read(id int64) bool {
	b, err := os.ReadFile("/proc/self/task/" + strconv.FormatInt(id, 10) + "/schedstat")
	if err != nil {
		return false
	}
	for i, f := range bytes.Fields(b) {
		v, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil || i > 2 {
			return false
		}
		*[]*int64{&t.ran, &t.waited, &t.slices}[i] = v
	}
	return true
}

// runnable reports whether a thread runs or could: the state R of /proc/self/task/N/stat.
func runnable(id int64) bool {
	b, err := os.ReadFile("/proc/self/task/" + strconv.FormatInt(id, 10) + "/stat")
	if err != nil {
		return false
	}
	i := bytes.LastIndexByte(b, ')') // the name before it may hold anything
	return i >= 0 && bytes.HasPrefix(b[i+1:], []byte(" R"))
}
