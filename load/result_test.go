package load

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/portion"
)

// TestJSON: what is written is read again, whole.
func TestJSON(t *testing.T) {
	s := serve(t, "tcp", echo)
	want := mustRun(t, Options{Address: s.address, Requests: 100, Conns: 3, Codec: frame.Netstring{}})
	want.Errors = []ErrorCount{{"an error", 2}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Start.Equal(want.Start) {
		t.Errorf("start %v, want %v", got.Start, want.Start)
	}
	got.Start = want.Start
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	empty, err := json.Marshal(&Result{})
	if err != nil || strings.Contains(string(empty), "NaN") {
		t.Errorf("an empty result is %s, %v", empty, err)
	}
}

// TestSummary: the summary is that of the values that went in.
func TestSummary(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	h := newHistogram()
	var all []int64
	for range 20_000 {
		v := int64(r.ExpFloat64()*200_000) + 1000
		all = append(all, v)
		if err := h.RecordValue(v); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	var res Result
	res.summarize(h)
	// The histogram is exact to 0.1 %; its quantiles may be those of the value next to ours.
	near := func(name string, got float64, want int64) {
		if w := float64(want) / 1e3; got < w*0.98 || got > w*1.02 {
			t.Errorf("seed %d: %s is %v µs, want %v", seed, name, got, w)
		}
	}
	at := func(q float64) int64 { return all[int(q*float64(len(all)))] }
	near("min", res.Latency.Min, all[0])
	near("p50", res.Latency.P50, at(.5))
	near("p90", res.Latency.P90, at(.9))
	near("p99", res.Latency.P99, at(.99))
	near("max", res.Latency.Max, all[len(all)-1])
	sum, from := int64(0), 0.0
	for _, b := range res.Histogram {
		want := int64(0)
		for _, v := range all {
			if f := float64(v) / 1e3; f > from && f <= b.UpTo {
				want++
			}
		}
		if d := b.Count - want; d > 200 || d < -200 { // the bars of the histogram are up to 0.1 % wide
			t.Errorf("seed %d: %d latencies in %v to %v µs, want %d", seed, b.Count, from, b.UpTo, want)
		}
		sum, from = sum+b.Count, b.UpTo
	}
	if sum != int64(len(all)) {
		t.Errorf("seed %d: %d latencies in the buckets, want %d", seed, sum, len(all))
	}
	if !slices.IsSortedFunc(res.Percentiles, func(a, b Percentile) int {
		return max(min(int((a.Latency-b.Latency)*1e6), 1), min(int((a.Percent-b.Percent)*1e6), 1))
	}) {
		t.Errorf("the percentiles are out of order: %v", res.Percentiles)
	}
}

// TestExtremes: the shortest and longest latencies have their places.
func TestExtremes(t *testing.T) {
	h := newHistogram()
	for _, v := range []int64{leastLatency, mostLatency} {
		if err := h.RecordValue(v); err != nil {
			t.Errorf("%d ns: %v", v, err)
		}
	}
	var res Result
	if res.summarize(h); len(res.Histogram) < 60 || res.Histogram[len(res.Histogram)-1].Count != 1 ||
		res.Histogram[0].Count != 1 {
		t.Errorf("buckets %v", res.Histogram)
	}
	var picture bytes.Buffer
	if res.Messages = 2; res.WriteSVG(&picture) != nil {
		t.Error("no picture of it")
	}
	if err := new(Result).WriteSVG(io.Discard); !errors.Is(err, ErrNothingToPlot) {
		t.Errorf("a picture of nothing: %v", err)
	}
}

// TestSVG: the picture is one, and says what it shows.
func TestSVG(t *testing.T) {
	s := serve(t, "tcp", echo)
	for _, n := range []int64{1, 2, 1000} {
		res := mustRun(t, Options{Address: s.address + "?nodelay=yes", Requests: n})
		var b bytes.Buffer
		if err := res.WriteSVG(&b); err != nil {
			t.Fatalf("%d messages: %v", n, err)
		}
		dec := xml.NewDecoder(bytes.NewReader(b.Bytes()))
		for {
			if _, err := dec.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%d messages: no XML: %v", n, err)
			}
		}
		for _, want := range []string{"<svg", s.address + ": 1 connections", "latency", "percentile of the messages",
			"share of the messages (%)", ">50<"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%d messages: %q is not in the picture", n, want)
			}
		}
		if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
			t.Errorf("%d messages: not all of it is a number", n)
		}
	}
}

// TestPayload: no two messages nearby are the same, and what a codec would take for its own is in none.
func TestPayload(t *testing.T) {
	for _, row := range []struct {
		name   string
		o      Options
		absent string
		kinds  int // of bytes
	}{
		{"plain", Options{Size: 64}, "", 256},
		{"upper", Options{Size: 64, Expect: ExpectUpper}, "_", 255},
		{"line", Options{Size: 64, Codec: frame.Line{}}, "\r\n", 254},
		{"delimited", Options{Size: 64, Codec: frame.Delimited{Delim: "A:"}}, "Aa:", 253},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPayload(&row.o)
			if bytes.ContainsAny(p.sent, row.absent) {
				t.Errorf("one of %q is in it", row.absent)
			}
			kinds := map[byte]bool{}
			for _, b := range p.sent {
				kinds[b] = true
			}
			if len(kinds) != row.kinds {
				t.Errorf("%d kinds of bytes, want %d", len(kinds), row.kinds)
			}
			seen := map[string]string{}
			for conn := range 50 {
				for number := range int64(100) {
					at := p.at(base(conn), number)
					if was := seen[string(p.sent[at:at+64])]; was != "" {
						t.Fatalf("message %d of connection %d was there already", number, conn)
					}
					seen[string(p.sent[at:at+64])] = "taken"
				}
			}
		})
	}
}

// TestAgreement: a client that does nothing but send, receive and look at the clock finds the same latency. The rounds
// are interleaved, and the bound is wide, for what else the machine does.
func TestAgreement(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("server and client are of one process: with one processor they wait for Go's scheduler")
	}
	s := serve(t, "tcp", echo)
	messages, rounds, most := 1000, 3, 6
	if portion.All() {
		messages, rounds, most = 2000, 5, 10
	}
	// least is its median, and whether the machine let it be: others spread what it waits.
	least := func() (p50 float64, calm bool) {
		nc, err := net.Dial("tcp", strings.TrimPrefix(s.address, "tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		// It waits in the kernel, on a thread of its own, as a loop does. Through Go's poller it would at times share a
		// thread with the server, and have its answers in a third of the time.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		c, err := nc.(*net.TCPConn).File()
		if err != nil {
			t.Skip(err)
		}
		defer c.Close()
		c.Fd() // from here on it blocks
		msg, reply := make([]byte, 64), make([]byte, 64)
		var took []time.Duration
		for range messages {
			begun := time.Now()
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, reply); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return us(int64(took[messages/2])), took[messages*9/10] < 3*took[messages/2]
	}
	var ratios []float64
	for range most {
		before, calm := least()
		ours := mustRun(t, Options{Address: s.address, Requests: int64(messages)}).Latency.P50
		if after, still := least(); calm && still {
			ratios = append(ratios, ours/max(before, after))
		}
		if len(ratios) == rounds {
			break
		}
	}
	if len(ratios) < rounds {
		t.Skipf("the machine is too busy: %d of %d rounds were undisturbed", len(ratios), most)
	}
	// Whether a client and the server have a processor each or share one is luck, and a matter of a factor of four. What
	// counts wrongly does so in each round.
	slices.Sort(ratios)
	if ratios[rounds-1] < 0.33 || ratios[0] > 3 {
		t.Errorf("our median latency is, in each round, so many times that of a least client: %.2f", ratios)
	}
	t.Logf("our median latency is so many times that of a least client: %.2f", ratios)
}
