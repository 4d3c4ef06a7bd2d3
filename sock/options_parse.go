package sock

import (
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// optionKeys are the keys of a query that are socket options, and how each reads its value.
var optionKeys = map[string]func(o *Options, value string) error{
	"reuseport":   func(o *Options, v string) error { return readBool(v, &o.ReusePort) },
	"backlog":     func(o *Options, v string) error { return readCount(v, &o.Backlog) },
	"nodelay":     readNoDelay,
	"keepalive":   readKeepAlive,
	"keepidle":    func(o *Options, v string) error { return readTime(v, &o.KeepAlive.Idle) },
	"keepintvl":   func(o *Options, v string) error { return readTime(v, &o.KeepAlive.Interval) },
	"keepcnt":     func(o *Options, v string) error { return readCount(v, &o.KeepAlive.Count) },
	"rcvbuf":      func(o *Options, v string) error { return readSize(v, &o.RecvBuffer) },
	"sndbuf":      func(o *Options, v string) error { return readSize(v, &o.SendBuffer) },
	"linger":      readLinger,
	"v6only":      readV6Only,
	"usertimeout": func(o *Options, v string) error { return readTime(v, &o.UserTimeout) },
	"deferaccept": func(o *Options, v string) error { return readTime(v, &o.DeferAccept) },
	"fastopen":    func(o *Options, v string) error { return readCount(v, &o.FastOpen) },
	"mode":        readMode,
}

// OptionKeys are the keys that [ParseOptions] takes, sorted: for a help text, or to say what an unknown key
// could have been.
func OptionKeys() []string { return slices.Sorted(maps.Keys(optionKeys)) }

// ParseOptions takes the socket options out of an address's query. What it does not know is left in rest (nil
// when nothing is), for the next layer to know or refuse; q itself is not changed.
//
//	reuseport=yes           several sockets on one address
//	backlog=512             connections that may wait to be accepted
//	nodelay=no              Nagle's algorithm on
//	keepalive=no            no keep-alive
//	keepidle=60s            silence before the first probe
//	keepintvl=10s           time between two probes
//	keepcnt=5               probes without an answer
//	rcvbuf=64k sndbuf=1m    the kernel's buffers, in bytes, KiB (k) or MiB (m)
//	linger=5s               Close waits so long; linger=0 resets the connection
//	v6only=yes              [::] without IPv4
//	usertimeout=30s         how long sent data may stay unacknowledged
//	deferaccept=5s          wake when data has come
//	fastopen=256            connections that sent data with their SYN
//	mode=0660               permissions of a unix socket's file, octal
//
// Yes is also written true, on or 1, or by the key alone; no is false, off or 0. Times are Go's
// ([time.ParseDuration]). [Options] says more on each. A value that cannot be read, and two keys that
// contradict each other, are an [*OptionError]; whether the socket and the system have the option is for
// [Options.Check].
func ParseOptions(q url.Values) (o Options, rest url.Values, err error) {
	for _, key := range slices.Sorted(maps.Keys(q)) {
		values := q[key]
		read, known := optionKeys[key]
		if !known {
			if rest == nil {
				rest = url.Values{}
			}
			rest[key] = slices.Clone(values)
			continue
		}
		if len(values) != 1 {
			return Options{}, nil, &OptionError{key, fmt.Sprintf("it is given %d times", len(values)), nil}
		}
		if err := read(&o, values[0]); err != nil {
			return Options{}, nil, &OptionError{key, err.Error(), nil}
		}
	}
	if err := o.checkValues(); err != nil {
		return Options{}, nil, err
	}
	return o, rest, nil
}

func readBool(v string, to *bool) error {
	switch strings.ToLower(v) {
	case "", "yes", "true", "on", "1":
		*to = true
	case "no", "false", "off", "0":
		*to = false
	default:
		return fmt.Errorf("%q is neither yes nor no", v)
	}
	return nil
}

func readNoDelay(o *Options, v string) error {
	var noDelay bool
	err := readBool(v, &noDelay)
	o.Delay = err == nil && !noDelay
	return err
}

func readKeepAlive(o *Options, v string) error {
	var on bool
	err := readBool(v, &on)
	if err != nil {
		return fmt.Errorf("%w (its times are keepidle, keepintvl and keepcnt)", err)
	}
	o.KeepAlive.Off = !on
	return nil
}

func readV6Only(o *Options, v string) error {
	var only bool
	if err := readBool(v, &only); err != nil {
		return err
	}
	o.V6Only = No
	if only {
		o.V6Only = Yes
	}
	return nil
}

// readCount reads a number from 1 on: 0 would silently mean the system's own.
func readCount(v string, to *int) error {
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is no number from 1 on", v)
	}
	*to = int(n)
	return nil
}

func readSize(v string, to *int) error {
	digits, unit := strings.ToLower(v), 1
	if d, ok := strings.CutSuffix(digits, "k"); ok {
		digits, unit = d, 1<<10
	} else if d, ok := strings.CutSuffix(digits, "m"); ok {
		digits, unit = d, 1<<20
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || n == 0 || n*uint64(unit) >= 1<<31 {
		return fmt.Errorf("%q is no size from 1 on and below 2 GiB (bytes, or 64k, or 1m)", v)
	}
	*to = int(n) * unit
	return nil
}

func readTime(v string, to *time.Duration) error {
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no time above zero, as 30s or 500ms are", v)
	}
	*to = d
	return nil
}

func readLinger(o *Options, v string) error {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil || d < 0:
		return fmt.Errorf("%q is no time, as 5s is (0 resets the connection at its close)", v)
	case d == 0:
		o.Linger = LingerReset
	default:
		o.Linger = d
	}
	return nil
}

func readMode(o *Options, v string) error {
	n, err := strconv.ParseUint(v, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return fmt.Errorf("%q are no permissions, as 0660 are (octal, up to 0777)", v)
	}
	o.Mode = fs.FileMode(n)
	return nil
}
