package sock

import (
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseOptions(t *testing.T) {
	for _, row := range []struct {
		name, in string
		want     Options
		rest     string
	}{
		{"nothing", "", Options{}, ""},
		{"all", "reuseport=yes&backlog=5&nodelay=no&keepidle=60s&keepintvl=10s&keepcnt=3&rcvbuf=64k&sndbuf=1m&linger=5s" +
			"&v6only=no&usertimeout=1500ms&deferaccept=2s&fastopen=16&mode=0660",
			Options{
				ReusePort: true, Backlog: 5, Delay: true, KeepAlive: KeepAlive{Idle: time.Minute, Interval: 10 * time.Second,
					Count: 3},
				RecvBuffer: 65536, SendBuffer: 1 << 20, Linger: 5 * time.Second, V6Only: No, UserTimeout: 1500 * time.Millisecond,
				DeferAccept: 2 * time.Second, FastOpen: 16, Mode: 0o660,
			}, ""},
		{"booleans said otherwise", "reuseport&v6only=ON&nodelay=1&keepalive=false",
			Options{ReusePort: true, V6Only: Yes, KeepAlive: KeepAlive{Off: true}}, ""},
		{"booleans that are the default", "reuseport=0&nodelay=true&keepalive=yes", Options{}, ""},
		{"reset", "linger=0", Options{Linger: LingerReset}, ""},
		{"bytes", "rcvbuf=4096", Options{RecvBuffer: 4096}, ""},
		{"others left", "frame=len4&backlog=5&max=7", Options{Backlog: 5}, "frame=len4&max=7"},
		{"keepalive on with times", "keepalive=on&keepcnt=4", Options{KeepAlive: KeepAlive{Count: 4}}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			q, err := url.ParseQuery(row.in)
			if err != nil {
				t.Fatal(err)
			}
			before := q.Encode()
			got, rest, err := ParseOptions(q)
			if err != nil || got != row.want || rest.Encode() != row.rest {
				t.Errorf("ParseOptions(%q)\n got %+v, %q, %v\nwant %+v, %q", row.in, got, rest.Encode(), err, row.want, row.rest)
			}
			if row.rest == "" && rest != nil {
				t.Errorf("ParseOptions(%q): got rest %#v, want nil", row.in, rest)
			}
			if q.Encode() != before {
				t.Errorf("ParseOptions(%q) changed the query to %q", row.in, q.Encode())
			}
		})
	}
}

func TestParseOptionsErrors(t *testing.T) {
	for _, row := range []struct{ name, in, key, want string }{
		{"no boolean", "reuseport=maybe", "reuseport", `"maybe" is neither yes nor no`},
		{"a time for keepalive", "keepalive=60s", "keepalive", "its times are keepidle"},
		{"no boolean for nodelay", "nodelay=2", "nodelay", "neither yes nor no"},
		{"no boolean for v6only", "v6only=6", "v6only", "neither yes nor no"},
		{"backlog of zero", "backlog=0", "backlog", `"0" is no number from 1 on`},
		{"backlog below zero", "backlog=-1", "backlog", `"-1" is no number`},
		{"backlog empty", "backlog", "backlog", `"" is no number`},
		{"backlog too large", "backlog=4294967296", "backlog", "is no number from 1 on"},
		{"size of zero", "rcvbuf=0k", "rcvbuf", "is no size"},
		{"size unit", "sndbuf=1g", "sndbuf", "is no size"},
		{"size over 2 GiB", "sndbuf=2048m", "sndbuf", "is no size"},
		{"time without unit", "keepidle=60", "keepidle", `"60" is no time above zero`},
		{"time of zero", "usertimeout=0s", "usertimeout", "is no time above zero"},
		{"time below zero", "deferaccept=-1s", "deferaccept", "is no time above zero"},
		{"time too fine", "keepidle=1500ms", "keepidle", "1.5s is no multiple of 1s"},
		{"time far too fine", "usertimeout=10us", "usertimeout", "is no multiple of 1ms"},
		{"time too long", "keepintvl=10h", "keepintvl", "10h0m0s is out of range"},
		{"linger below zero", "linger=-1s", "linger", "is no time"},
		{"linger too fine", "linger=10ms", "linger", "is no multiple of 1s"},
		{"count too large", "keepcnt=128", "keepcnt", "it is 1 to 127"},
		{"mode not octal", "mode=0680", "mode", "are no permissions"},
		{"mode with more", "mode=04755", "mode", "are no permissions"},
		{"given twice", "backlog=5&backlog=6", "backlog", "it is given 2 times"},
		{"off and yet timed", "keepalive=no&keepidle=60s", "keepalive", "it is off, and yet its times are given"},
	} {
		t.Run(row.name, func(t *testing.T) {
			q, err := url.ParseQuery(row.in)
			if err != nil {
				t.Fatal(err)
			}
			got, rest, err := ParseOptions(q)
			var oe *OptionError
			if !errors.As(err, &oe) || oe.Option != row.key || !strings.Contains(err.Error(), row.want) {
				t.Errorf("ParseOptions(%q):\n got %v, %v, %v\nwant an error about %s with %q", row.in, got, rest, err, row.key,
					row.want)
			}
			if got != (Options{}) || rest != nil {
				t.Errorf("ParseOptions(%q): got %+v, %v beside the error, want nothing", row.in, got, rest)
			}
		})
	}
}

func TestOptionsCheck(t *testing.T) {
	second := time.Second
	for _, row := range []struct {
		name, addr string
		o          Options
		want       string // "" for fine
		lacking    bool   // errors.Is finds ErrUnsupported
	}{
		{"zero on tcp", "tcp://:1", Options{}, "", false},
		{"zero on udp", "udp://:1", Options{}, "", false},
		{"zero on unix", "unix:///x", Options{}, "", false},
		{"tcp has its own", "tcp://:1", Options{Backlog: 1, Delay: true, KeepAlive: KeepAlive{Off: true}, Linger: second}, "",
			false},
		{"buffers everywhere", "unix:///x", Options{RecvBuffer: 1, SendBuffer: 1}, "", false},
		{"backlog on udp", "udp://:1", Options{Backlog: 1}, "option backlog: a udp socket does not have it", true},
		{"backlog on unix", "unix:///x", Options{Backlog: 1}, "", false},
		{"nodelay on udp", "udp://:1", Options{Delay: true}, "option nodelay: a udp socket", true},
		{"nodelay on unix", "unix:///x", Options{Delay: true}, "option nodelay: a unix socket", true},
		{"keepalive on unix", "unix:///x", Options{KeepAlive: KeepAlive{Off: true}}, "option keepalive", true},
		{"keepidle on udp", "udp://:1", Options{KeepAlive: KeepAlive{Idle: second}}, "option keepidle", true},
		{"linger on udp", "udp://:1", Options{Linger: LingerReset}, "option linger", true},
		{"reuseport on unix", "unix:///x", Options{ReusePort: true}, "option reuseport: a unix socket", true},
		{"v6only on unix", "unix:///x", Options{V6Only: No}, "option v6only", true},
		{"v6only on IPv4", "tcp://0.0.0.0:1", Options{V6Only: Yes}, "0.0.0.0 is an IPv4 address", false},
		{"v6only on all", "tcp://:1", Options{V6Only: Yes}, "", false},
		{"usertimeout on udp", "udp://:1", Options{UserTimeout: second}, "option usertimeout", true},
		{"deferaccept on unix", "unix:///x", Options{DeferAccept: second}, "option deferaccept", true},
		{"fastopen on udp", "udp://:1", Options{FastOpen: 1}, "option fastopen", true},
		{"mode on tcp", "tcp://:1", Options{Mode: 0o600}, "option mode: a tcp socket", true},
		{"mode with more than permissions", "unix:///x", Options{Mode: 0o4000_0000}, "has more in it than permissions",
			false},
		{"backlog below zero", "tcp://:1", Options{Backlog: -1}, "option backlog: -1 is out of range", false},
		{"no choice", "tcp://:1", Options{V6Only: 3}, "the choice 3", false},
		{"linger below zero", "tcp://:1", Options{Linger: -second}, "option linger: -1s is out of range", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, err := ParseAddr(row.addr)
			if err != nil {
				t.Fatal(err)
			}
			err = row.o.Check(a)
			if row.want == "" {
				if err != nil {
					t.Errorf("Check(%s) of %+v: got %v, want none", row.addr, row.o, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) || errors.Is(err, errors.ErrUnsupported) != row.lacking {
				t.Errorf("Check(%s) of %+v: got %v, want %q (unsupported: %v)", row.addr, row.o, err, row.want, row.lacking)
			}
		})
	}
}

// Each option of a system without any is refused by its key.
func TestOptionsCheckOtherSystem(t *testing.T) {
	saved := system
	system = features{}
	defer func() { system = saved }()
	for key, in := range map[string]string{
		"reuseport": "tcp://:1?reuseport", "keepidle": "tcp://:1?keepidle=1s", "keepintvl": "tcp://:1?keepintvl=1s",
		"keepcnt": "tcp://:1?keepcnt=1", "usertimeout": "tcp://:1?usertimeout=1s", "deferaccept": "tcp://:1?deferaccept=1s",
		"fastopen": "tcp://:1?fastopen=1", "v6only": "tcp://:1?v6only=no", "mode": "unix:///x?mode=0600",
	} {
		a, err := ParseAddr(in)
		if err != nil {
			t.Fatal(err)
		}
		o, _, err := ParseOptions(a.Query)
		if err != nil {
			t.Fatal(err)
		}
		err = o.Check(a)
		if err == nil || !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "option "+key+": ") ||
			!strings.Contains(err.Error(), "does not have it") {
			t.Errorf("%s: got %v, want that this system does not have %s", in, err, key)
		}
		if s, err := Listen(a, o); err == nil {
			s.Close()
			t.Errorf("Listen(%s): got a socket, want the same error", in)
		}
	}
}

// Every option has a key, and every key an option that Check knows.
func TestOptionKeys(t *testing.T) {
	var uses []string
	for _, u := range (Options{}).uses() {
		uses = append(uses, u.key)
	}
	slices.Sort(uses)
	if got := OptionKeys(); !slices.Equal(got, uses) {
		t.Errorf("keys\n got %v\nwant %v", got, uses)
	}
	// Options without the KeepAlive struct, which has four keys.
	if n := reflect.TypeFor[Options]().NumField() + reflect.TypeFor[KeepAlive]().NumField() - 1; n != len(uses) {
		t.Errorf("Options has %d fields, and there are %d keys", n, len(uses))
	}
}

func FuzzParseOptions(f *testing.F) {
	for _, s := range []string{"", "backlog=5", "nodelay=no&linger=0&mode=0660", "rcvbuf=64k&keepidle=1m&x=y",
		"keepalive=no&keepcnt=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		o, rest, err := ParseOptions(q)
		if err != nil {
			return
		}
		if err := o.checkValues(); err != nil {
			t.Fatalf("ParseOptions(%q) gives %+v, which is wrong by itself: %v", s, o, err)
		}
		for key := range q {
			if _, left := rest[key]; left == slices.Contains(OptionKeys(), key) {
				t.Fatalf("ParseOptions(%q): key %q left over: %v", s, key, left)
			}
		}
		again, _, err := ParseOptions(q)
		if err != nil || again != o {
			t.Fatalf("ParseOptions(%q): got %+v and then %+v, %v", s, o, again, err)
		}
	})
}
