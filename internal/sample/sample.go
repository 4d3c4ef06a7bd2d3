// Package sample bounds the rate of log lines that somebody else causes, as a peer does that sends rubbish. Of lines
// alike a few are written, and each says how many before it were not: so their sum is exact.
package sample

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Of lines alike, which are those with the same level and message, Burst are written at once, and one more for each
// Every that passes: ten show what goes on, and one a second fills no disk (8 MB a day of lines of 100 bytes). If no
// line of the kind follows, one that has no other attribute tells the count after Late, which is longer than Every so
// that under a lasting flood it is a real line that tells; it stands for one of them itself. Lines below slog.LevelInfo
// are all written: who turns them on wants each.
const (
	Burst = 10
	Every = time.Second
	Late  = 2 * time.Second
)

// Omitted is the attribute that says how many lines like this one were not written since the last that was.
const Omitted = "omitted"

// A steppedClock is loop.SteppedClock: one that stands still until somebody moves it.
type steppedClock interface {
	Now() time.Time
	OnStep(wake func()) (cancel func())
}

// A sampler is what the handlers of one log share.
type sampler struct {
	now     func() time.Time
	stepped func() // ends the calls at a clock's steps; nil: the time is the system's

	mu    sync.Mutex
	kinds map[kind]*state // as many as there are such lines in the program's source
	armed bool            // a timer runs
	ended bool
}

type kind struct {
	level   slog.Level
	message string
}

type state struct {
	paid    time.Time    // up to when the lines that were written have used up what a second allows
	omitted int64        // since the last line that was written
	since   time.Time    // when the first of them was to be
	by      slog.Handler // of the last of them
}

type handler struct {
	slog.Handler
	s *sampler
}

// New returns a log that writes to log, with those bounds. The time is the system's, or clock's if that is a
// loop.SteppedClock. At the end the owner calls end, which says what was not said; from then on all lines are written.
// If log is such a log already, so that it has another owner and the bounds count for both, it is returned as it is.
func New(log *slog.Logger, clock any) (sampled *slog.Logger, end func()) {
	if _, ok := log.Handler().(*handler); ok {
		return log, func() {}
	}
	s := &sampler{now: time.Now, kinds: make(map[kind]*state)}
	if c, ok := clock.(steppedClock); ok {
		s.now = c.Now
		s.stepped = c.OnStep(func() { s.tell(false) })
	}
	return slog.New(&handler{log.Handler(), s}), s.end
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.Handler.WithAttrs(attrs), h.s}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.s}
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo {
		omitted, ok := h.s.admit(h.Handler, kind{r.Level, r.Message})
		if !ok {
			return nil
		}
		if omitted > 0 {
			r = r.Clone() // the caller's has the same place for attributes
			r.AddAttrs(slog.Int64(Omitted, omitted))
		}
	}
	return h.Handler.Handle(ctx, r)
}

// admit reports whether a line is to be written, and how many were not before it.
func (s *sampler) admit(by slog.Handler, of kind) (omitted int64, ok bool) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return 0, true
	}
	k := s.kinds[of]
	if k == nil {
		k = new(state)
		s.kinds[of] = k
	}
	if k.paid.Before(now) {
		k.paid = now
	}
	if k.paid.Sub(now) <= (Burst-1)*Every {
		k.paid = k.paid.Add(Every)
		omitted, k.omitted, k.by = k.omitted, 0, nil
		return omitted, true
	}
	if k.omitted == 0 {
		k.since = now
	}
	k.omitted++
	k.by = by
	s.arm(Late)
	return 0, false
}

// arm has somebody look after d, for the next line may never come. The timer is not stopped, for its goroutine may be
// of another testing/synctest bubble than who would: it looks, and ends. The caller holds mu.
func (s *sampler) arm(d time.Duration) {
	if s.armed || s.stepped != nil {
		return
	}
	s.armed = true
	time.AfterFunc(d, func() {
		s.mu.Lock()
		s.armed = false
		s.mu.Unlock()
		s.tell(false)
	})
}

// tell writes how many lines were left out, of the kinds that have not been heard of for Late, or of all.
func (s *sampler) tell(all bool) {
	type line struct {
		by slog.Handler
		r  slog.Record
	}
	var lines []line
	now, rest := s.now(), time.Duration(0)
	s.mu.Lock()
	s.ended = s.ended || all
	for of, k := range s.kinds {
		switch {
		case k.omitted == 0:
		case all || now.Sub(k.since) >= Late:
			r := slog.NewRecord(time.Now(), of.level, of.message, 0)
			if k.omitted > 1 {
				r.AddAttrs(slog.Int64(Omitted, k.omitted-1))
			}
			lines = append(lines, line{k.by, r})
			k.omitted, k.by = 0, nil
		default:
			rest = max(rest, Late-now.Sub(k.since))
		}
	}
	if rest > 0 {
		s.arm(rest)
	}
	s.mu.Unlock()
	for _, l := range lines {
		_ = l.by.Handle(context.Background(), l.r) // a log that fails has nobody to tell
	}
}

func (s *sampler) end() {
	if s.stepped != nil {
		s.stepped()
	}
	s.tell(true)
}
