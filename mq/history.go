package mq

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A History is what became of a job's tries. It goes with the job, as JSON.
type History struct {
	Returned int       `json:"returned,omitempty"` // how often it was given back without counting as a try
	Failures []Failure `json:"failures,omitempty"` // oldest first
	Omitted  int       `json:"omitted,omitempty"`  // failures after the first that are not there, for the bound
}

// mostWhy is the length in bytes of a Failure.Why: enough for an error, and not for a stack.
const mostWhy = 512

// ParseHistory is for a backend that makes a DeadJob. What is no history of ours gives an empty one, and an error.
func ParseHistory(b []byte) (h History, err error) {
	if len(b) == 0 {
		return h, nil
	}
	if err := json.Unmarshal(b, &h); err != nil {
		return History{}, fmt.Errorf("mq: the history of a job: %w", err)
	}
	h.Returned, h.Omitted = max(h.Returned, 0), max(h.Omitted, 0)
	return h, nil
}

// tries is how many tries have been noted.
func (h *History) tries() int {
	if len(h.Failures) == 0 {
		return 0
	}
	return h.Failures[len(h.Failures)-1].Try
}

// died notes the tries up to n that nobody has noted: their workers died. Several of them are one entry.
func (h *History) died(n int, now time.Time) {
	if h.tries() >= n {
		return
	}
	why := "the worker died, or was silent for too long"
	if from := h.tries() + 1; from < n {
		why = fmt.Sprintf("the workers of tries %d to %d died, or were silent for too long", from, n)
	}
	h.Failures = append(h.Failures, Failure{Try: n, At: now, Why: why})
}

// failed notes a try.
func (h *History) failed(try int, worker string, err error, now time.Time) {
	why := strings.ToValidUTF8(err.Error(), "\uFFFD")
	if len(why) > mostWhy {
		why = strings.ToValidUTF8(why[:mostWhy-len("…")], "") + "…"
	}
	h.Failures = append(h.Failures, Failure{Try: try, At: now, Worker: worker, Why: why})
}

// encode makes it fit into most bytes: the second failure goes first, for the first one and the last ones tell most.
func (h *History) encode(most int) []byte {
	for {
		b, err := json.Marshal(h)
		if err != nil {
			panic(fmt.Sprintf("mq: a history that is no JSON: %v", err))
		}
		if len(b) <= most || len(h.Failures) <= 1 {
			return b
		}
		h.Failures = slices.Delete(slices.Clone(h.Failures), 1, 2)
		h.Omitted++
	}
}
