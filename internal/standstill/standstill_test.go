package standstill

import (
	"bytes"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReport: the goroutines, and on Linux selectors and sockets, with their numbers.
func TestReport(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var b bytes.Buffer
	Report(&b, "why")
	want := []string{"=== standstill: why", "standstill.TestReport"}
	if runtime.GOOS == "linux" {
		port := strings.ToUpper(strconv.FormatInt(int64(l.Addr().(*net.TCPAddr).Port), 16))
		want = append(want, "eventpoll", "tfd:", ":"+strings.Repeat("0", 4-len(port))+port)
	}
	for _, s := range want {
		if !strings.Contains(b.String(), s) {
			t.Errorf("the report does not have %q:\n%s", s, b.String())
		}
	}
}

// TestWatch: a process that stands still is reported once, and once more near the limit.
func TestWatch(t *testing.T) {
	if processorTime() == 0 {
		t.Skip("this system does not tell what a process uses")
	}
	synctest.Test(t, func(t *testing.T) { // in whose time, which passes at once, hardly any processor is used
		var b bytes.Buffer
		end, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			watch(end, 3*quiet, &b)
		}()
		time.Sleep(4 * quiet)
		close(end)
		<-ended
		for _, s := range []string{"has stood still for 1m40s", "have run for 5m0s"} {
			if n := strings.Count(b.String(), s); n != 1 {
				t.Errorf("the reports have %q %d times, want once", s, n)
			}
		}
	})
}
