package load

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is what a run found. Its JSON form is that of plexor bench --json; times there are numbers of microseconds
// or seconds, as the names say.
type Result struct {
	Address   string  `json:"address"`
	Driver    string  `json:"driver"` // what the client's loops waited on
	Loops     int     `json:"loops"`
	Conns     int     `json:"conns"`
	Depth     int     `json:"depth"`
	Size      int     `json:"size"`            // bytes in a message, without what a codec adds
	Frame     string  `json:"frame,omitempty"` // the codec's spec
	Expect    Expect  `json:"expect"`
	RateAsked float64 `json:"rate_asked,omitempty"` // messages a second; 0: a closed loop
	Reconnect bool    `json:"reconnect,omitempty"`

	// Start is when the measurement began.
	Start time.Time `json:"start"`
	// Seconds is how long it took, and Rate the messages answered in that time, a second.
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"`
	// Messages is how many answers were right and counted, with those that came after Seconds; BytesSent and
	// BytesReceived are what the connections carried for all messages, the warm-up's too.
	Messages      int64 `json:"messages"`
	BytesSent     int64 `json:"bytes_sent"`
	BytesReceived int64 `json:"bytes_received"`

	// Latency is of those Messages.
	Latency Latency `json:"latency"`
	// Histogram counts them by latency; empty buckets between others are there too.
	Histogram []Bucket `json:"histogram"`
	// Percentiles is the same as a curve, finer towards the end.
	Percentiles []Percentile `json:"percentiles"`

	// Connected is how many connections were made, and NotConnected how many attempts failed.
	Connected    int64 `json:"connected"`
	NotConnected int64 `json:"not_connected"`
	// LostConns is how many of those that were made broke, were closed by the peer or stood still for the timeout
	// (TimedOut is how many of them did the last).
	LostConns int64 `json:"lost_conns"`
	TimedOut  int64 `json:"timed_out"`
	// LostMessages were sent and never answered, since their connection was lost or, over UDP, their time was over.
	LostMessages int64 `json:"lost_messages"`
	// Wrong is how many answers were not what was sent, bytes that nobody had asked for included.
	Wrong int64 `json:"wrong"`
	// Stray is how many datagrams came too late, or twice.
	Stray int64 `json:"stray,omitempty"`
	// Unexpected is how many datagrams came from another address or port than the target's, and were dropped: answers of
	// a server that does not answer from where it was asked, or what a stranger sent.
	Unexpected int64 `json:"unexpected,omitempty"`
	// Unsent is how many messages were due by the rate and could not be sent, since the server was behind by more
	// than the timeout, or the run was interrupted; Unanswered how many were under way when it was.
	Unsent     int64 `json:"unsent"`
	Unanswered int64 `json:"unanswered"`
	// Interrupted says that the context was cancelled before the end.
	Interrupted bool `json:"interrupted,omitempty"`

	// Errors are the reasons of what failed, the most frequent first: each kind once, and at most mostErrors of them.
	Errors []ErrorCount `json:"errors,omitempty"`
}

// A Latency sums up how long answers took, in microseconds. It comes from a histogram that is exact to three digits.
type Latency struct {
	Min    float64 `json:"min_us"`
	Mean   float64 `json:"mean_us"`
	StdDev float64 `json:"stddev_us"`
	P50    float64 `json:"p50_us"`
	P90    float64 `json:"p90_us"`
	P99    float64 `json:"p99_us"`
	P999   float64 `json:"p999_us"`
	Max    float64 `json:"max_us"`
}

// A Bucket is how many latencies were above the bucket before and up to this one, in microseconds.
type Bucket struct {
	UpTo  float64 `json:"up_to_us"`
	Count int64   `json:"count"`
}

// A Percentile says that Percent of the messages took at most so many microseconds.
type Percentile struct {
	Percent float64 `json:"percent"`
	Latency float64 `json:"latency_us"`
}

// An ErrorCount is a reason and how often it came up.
type ErrorCount struct {
	Error string `json:"error"`
	Count int64  `json:"count"`
}

// mostErrors bounds how many kinds of errors are kept.
const mostErrors = 16

// ErrFailed is found by errors.Is in what [Result.Err] returns.
var ErrFailed = errors.New("load: the run failed")

// A failure is ErrFailed in words.
type failure struct{ text string }

func (e *failure) Error() string        { return e.text }
func (e *failure) Is(target error) bool { return target == ErrFailed }

// Err is nil if every answer was right and no connection was lost; otherwise it says in a line what failed, how often,
// and the most frequent reason. Datagrams may be lost, that is UDP, but not all of them.
func (r *Result) Err() error {
	fail := func(format string, args ...any) error {
		text := r.Address + ": " + fmt.Sprintf(format, args...)
		if len(r.Errors) > 0 {
			text += ": " + r.Errors[0].Error
		}
		return &failure{text}
	}
	switch {
	case r.Connected == 0 && r.NotConnected > 0:
		return fail("no connection could be made; is the server there, and is the address right?")
	case r.Wrong > 0:
		return fail("%d of %d answers were wrong, by the service %s", r.Wrong, r.Wrong+r.Messages, r.Expect)
	case r.NotConnected > 0:
		return fail("%d of %d connections could not be made", r.NotConnected, r.NotConnected+r.Connected)
	case r.LostConns > 0:
		return fail("%d of %d connections were lost", r.LostConns, r.Connected)
	case r.Messages == 0 && r.LostMessages > 0:
		if r.Unexpected > 0 {
			return fail("none of %d messages was answered from where it was sent to, and %d datagrams came from elsewhere",
				r.LostMessages, r.Unexpected)
		}
		return fail("none of %d messages was answered", r.LostMessages)
	}
	return nil
}

// Bounds of the histograms, in nanoseconds: what takes longer counts as an hour.
const (
	leastLatency = 1
	mostLatency  = int64(time.Hour)
	figures      = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, figures)
}

// us is nanoseconds in microseconds.
func us(ns int64) float64 { return float64(ns) / 1e3 }

// summarize fills in what comes from the histogram.
func (r *Result) summarize(h *hdrhistogram.Histogram) {
	r.Histogram, r.Percentiles = []Bucket{}, []Percentile{}
	if h.TotalCount() == 0 {
		return
	}
	r.Latency = Latency{
		Min: us(h.Min()), Mean: h.Mean() / 1e3, StdDev: h.StdDev() / 1e3, Max: us(h.Max()),
		P50: us(h.ValueAtQuantile(50)), P90: us(h.ValueAtQuantile(90)),
		P99: us(h.ValueAtQuantile(99)), P999: us(h.ValueAtQuantile(99.9)),
	}
	r.Histogram = buckets(h)
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		r.Percentiles = append(r.Percentiles, Percentile{b.Quantile, us(b.ValueAt)})
	}
}

// steps are the upper ends of the buckets in each decade.
var steps = []float64{1, 1.5, 2, 3, 4, 5, 7}

// buckets puts the histogram's many bars into a few.
func buckets(h *hdrhistogram.Histogram) (bs []Bucket) {
	bars := h.Distribution()
	i := slices.IndexFunc(bars, func(b hdrhistogram.Bar) bool { return b.Count > 0 })
	for decade := 1.0; i < len(bars) && decade < 1e13; decade *= 10 { // in nanoseconds
		for _, step := range steps {
			b := Bucket{UpTo: decade * step / 1e3}
			for ; i < len(bars) && float64(bars[i].To) <= decade*step*(1+1e-3); i++ {
				b.Count += bars[i].Count
			}
			if b.Count > 0 || len(bs) > 0 {
				bs = append(bs, b)
			}
			if i == len(bars) {
				break
			}
		}
	}
	for len(bs) > 0 && bs[len(bs)-1].Count == 0 {
		bs = bs[:len(bs)-1]
	}
	return bs
}
