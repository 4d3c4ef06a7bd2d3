package sock

import (
	"fmt"
	"net/netip"
	"net/url"
	"runtime"
	"strconv"
	"strings"
)

// AddrError is what is wrong with the text of an address.
type AddrError struct {
	Addr    string // as it was given
	Problem string // what is wrong, and where it is known what was meant
	Scheme  string // the scheme that is unknown, if that is what is wrong: for packages that know more of them
}

func (e *AddrError) Error() string { return fmt.Sprintf("address %q: %s", e.Addr, e.Problem) }

// maxUnixPath is how many bytes the path of a unix socket may have: sun_path (unix(7)) has 108 bytes on Linux
// and Windows and 104 on the BSDs and macOS, one of them the NUL at its end.
var maxUnixPath = func() int {
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		return 107
	}
	return 103
}()

// ParseAddr reads an address in its URL form (RFC 3986; zones as in RFC 6874, where a bare "%" before the
// zone is taken too):
//
//	tcp://127.0.0.1:9000          an IPv4 address
//	tcp://[::1]:9000              an IPv6 address, in brackets
//	tcp://[fe80::1%25eth0]:9000   one with a zone
//	tcp://localhost:9000          a name (ASCII; international names as xn--...)
//	udp://:9000                   all addresses
//	tcp://127.0.0.1:0             a free port
//	unix:///run/x.sock            a path; %XX stands for a byte
//	unix://@name                  an abstract name (Linux), also written unix:@name
//	tcp://:9000?nodelay=no        with options
//
// IP addresses come out in their canonical form, the scheme in lower case. The error is an *AddrError.
func ParseAddr(s string) (Addr, error) {
	a, problem := parseAddr(s)
	if problem == "" {
		return a, nil
	}
	e := &AddrError{Addr: s, Problem: problem}
	switch a.Scheme {
	case "", "tcp", "udp", "unix":
	default:
		e.Scheme = a.Scheme
	}
	return Addr{}, e
}

func parseAddr(s string) (a Addr, problem string) {
	if s == "" {
		return a, "it is empty: write tcp://host:port, udp://host:port or unix:///path"
	}
	if p := strayByte(s); p != "" {
		return a, p
	}
	var rest string
	if a.Scheme, rest, problem = splitScheme(s); problem != "" {
		return a, problem
	}
	rest, query, _ := strings.Cut(rest, "?")
	if a.Query, problem = parseQuery(query); problem != "" {
		return a, problem
	}
	if a.Scheme == "unix" {
		a.Path, problem = parsePath(rest)
	} else {
		a.Host, a.Port, problem = parseHostPort(a.Scheme, rest)
	}
	return a, problem
}

// strayByte finds what may stand nowhere in an address.
func strayByte(s string) string {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == 0:
			return fmt.Sprintf("a NUL byte at position %d", i)
		case c < ' ' || c == 0x7f:
			return fmt.Sprintf("a control character (0x%02x) at position %d", c, i)
		case c == ' ' && (i == 0 || i == len(s)-1):
			return "a space before or after it"
		case c == '#':
			return "an address has no fragment (a # inside a path is written %23)"
		}
	}
	return ""
}

// splitScheme cuts the scheme and its "://" off.
func splitScheme(s string) (scheme, rest, problem string) {
	if name, ok := strings.CutPrefix(s, "unix:@"); ok { // as many programs write it
		return "unix", "@" + name, ""
	}
	i := strings.IndexAny(s, "/?")
	if i < 1 || s[i-1] != ':' || !strings.HasPrefix(s[i:], "//") {
		return "", "", "the scheme is missing" + suggest(guesses(s)...)
	}
	scheme, rest = strings.ToLower(s[:i-1]), s[i+2:]
	switch scheme {
	case "tcp", "udp", "unix":
		return scheme, rest, ""
	case "":
		return "", "", "the scheme is missing before ://" + suggest("tcp://"+rest)
	case "tcp4", "udp4", "tcp6", "udp6":
		return "", "", fmt.Sprintf("unknown scheme %q: write %s, the host decides between IPv4 and IPv6 (0.0.0.0 and [::] "+
			"are all of each)", scheme, scheme[:3])
	}
	return scheme, "", fmt.Sprintf("unknown scheme %q: it is tcp, udp or unix", scheme)
}

// guesses are what somebody who forgot the scheme can have meant.
func guesses(s string) []string {
	for _, scheme := range []string{"tcp", "udp", "unix"} {
		if rest, ok := strings.CutPrefix(s, scheme+":"); ok {
			return []string{scheme + "://" + strings.TrimLeft(rest, "/"), scheme + ":///" + strings.TrimLeft(rest, "/")}
		}
	}
	if strings.HasPrefix(s, "//") {
		return []string{"tcp:" + s}
	}
	return []string{"tcp://" + s, "unix://" + s}
}

// suggest offers the first of the guesses that is an address.
func suggest(guesses ...string) string {
	for _, g := range guesses {
		// A guess always has a scheme, so this does not come back here.
		if _, problem := parseAddr(g); problem == "" {
			return "; did you mean " + g + "?"
		}
	}
	return ": write tcp://host:port, udp://host:port or unix:///path"
}

func parseQuery(query string) (url.Values, string) {
	if query == "" {
		return nil, ""
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Sprintf("the query %q cannot be read: %v", query, err)
	}
	for key, values := range q {
		switch {
		case key == "":
			return nil, fmt.Sprintf("the query %q has a value without a name", query)
		case len(values) > 1:
			return nil, fmt.Sprintf("the query gives %s %d times", key, len(values))
		}
	}
	if len(q) == 0 {
		return nil, ""
	}
	return q, ""
}

// parsePath reads what follows unix:// up to the query.
func parsePath(rest string) (path, problem string) {
	if rest == "" {
		return "", "the path is missing: write unix:///path"
	}
	if rest[0] == '@' {
		return parseAbstract(rest)
	}
	if rest[0] != '/' {
		return "", fmt.Sprintf("the path %q is relative, and a path begins with a third slash%s", rest,
			suggest("unix:///"+rest))
	}
	path, err := url.PathUnescape(rest)
	switch {
	case err != nil:
		return "", fmt.Sprintf("the path cannot be read: %v (a %% itself is written %%25)", err)
	case strings.IndexByte(path, 0) >= 0:
		return "", "the path has a NUL byte (%00) in it, which ends a path"
	case strings.HasSuffix(path, "/"):
		return "", "the path names a directory: name the socket file in it"
	case len(path) > maxUnixPath:
		return "", fmt.Sprintf("the path has %d bytes, and this system takes %d for a unix socket: use a shorter one",
			len(path), maxUnixPath)
	}
	return path, ""
}

// parseAbstract reads an abstract name (unix(7)), from its @ on, which stands for the NUL that it begins with.
func parseAbstract(rest string) (path, problem string) {
	path, err := url.PathUnescape(rest)
	switch {
	case runtime.GOOS != "linux":
		return "", "abstract names (@…) are Linux's alone: write unix:///path"
	case err != nil:
		return "", fmt.Sprintf("the name cannot be read: %v (a %% itself is written %%25)", err)
	case path == "@":
		return "", "the name after the @ is empty"
	case strings.IndexByte(path, 0) >= 0:
		return "", "the name has a NUL byte (%00) in it"
	case len(path) > maxUnixPath+1: // no NUL ends it
		return "", fmt.Sprintf("the name has %d bytes, and this system takes %d", len(path)-1, maxUnixPath)
	}
	return path, ""
}

// parseHostPort reads what follows tcp:// or udp:// up to the query.
func parseHostPort(scheme, rest string) (host string, port int, problem string) {
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return "", 0, fmt.Sprintf("a %s address has no path: leave %q out", scheme, rest[i:])
	}
	if strings.IndexByte(rest, '@') >= 0 {
		return "", 0, fmt.Sprintf("a %s address has no user: leave all up to the @ out", scheme)
	}
	var tail string // the port, with its colon
	if strings.HasPrefix(rest, "[") {
		inside, after, ok := strings.Cut(rest[1:], "]")
		if !ok {
			return "", 0, "the ] after the IPv6 address is missing"
		}
		if host, problem = parseIPv6(inside); problem != "" {
			return "", 0, problem
		}
		if tail = after; tail != "" && tail[0] != ':' {
			return "", 0, fmt.Sprintf("%q follows the ], where :port should", tail)
		}
	} else {
		if strings.ContainsAny(rest, "[]") {
			return "", 0, "brackets go around the whole of an IPv6 address, and nothing else: tcp://[::1]:80"
		}
		if strings.Count(rest, ":") > 1 {
			return "", 0, manyColons(scheme, rest)
		}
		i := strings.IndexByte(rest, ':')
		if i < 0 {
			i = len(rest)
		}
		if host, problem = parseHost(rest[:i]); problem != "" {
			return "", 0, problem
		}
		tail = rest[i:]
	}
	port, problem = parsePort(scheme, tail)
	return host, port, problem
}

// manyColons explains an unbracketed host and port with more than one colon.
func manyColons(scheme, rest string) string {
	i := strings.LastIndexByte(rest, ':')
	if _, err := netip.ParseAddr(rest[:i]); err == nil && rest[i+1:] != "" {
		return fmt.Sprintf("an IPv6 address is written in brackets%s", suggest(scheme+"://["+rest[:i]+"]"+rest[i:]))
	}
	if _, err := netip.ParseAddr(rest); err == nil {
		return fmt.Sprintf("an IPv6 address is written in brackets, with the port behind: %s://[%s]:port", scheme, rest)
	}
	return fmt.Sprintf("%q has more than one colon: write host:port, and an IPv6 address in brackets", rest)
}

func parsePort(scheme, tail string) (port int, problem string) {
	if len(tail) < 2 {
		return 0, fmt.Sprintf("the port is missing: write %s://host:port (port 0 takes a free one to listen on)", scheme)
	}
	text := tail[1:]
	for i := 0; i < len(text); i++ {
		if !isDigit(text[i]) {
			return 0, fmt.Sprintf("the port %q is not a number", text)
		}
	}
	port, err := strconv.Atoi(text)
	if err != nil || port > 65535 {
		return 0, fmt.Sprintf("the port %s is out of range: it is 0 to 65535", text)
	}
	return port, ""
}

// parseIPv6 reads what stands between the brackets.
func parseIPv6(inside string) (host, problem string) {
	text, zone, hasZone := strings.Cut(inside, "%")
	ip, err := netip.ParseAddr(text)
	switch {
	case inside == "":
		return "", "the brackets are empty: [::] is all IPv6 addresses, and no host at all is all addresses"
	case err != nil:
		return "", fmt.Sprintf("%q in brackets is no IPv6 address", inside)
	case ip.Is4() && hasZone:
		return "", fmt.Sprintf("an IPv4 address has no zone: leave %%%s and the brackets out", zone)
	case ip.Is4():
		return "", fmt.Sprintf("brackets are for IPv6 addresses: write %s without", inside)
	case !hasZone:
		return ip.String(), ""
	case ip.Is4In6():
		return "", fmt.Sprintf("an IPv4 address has no zone: leave %%%s out", zone)
	}
	if zone, problem = parseZone(zone); problem != "" {
		return "", problem
	}
	return ip.WithZone(zone).String(), ""
}

// parseZone reads what follows the % of an IPv6 address. RFC 6874 wants that % itself encoded, as %25, and
// asks readers to take a bare one too; a zone that begins with 25 must have the encoded form.
func parseZone(text string) (zone, problem string) {
	encoded, isEncoded := strings.CutPrefix(text, "25")
	if !isEncoded {
		encoded = text
	}
	zone, err := url.PathUnescape(encoded)
	if err != nil {
		return "", fmt.Sprintf("the zone %q cannot be read: %v", text, err)
	}
	if zone == "" {
		return "", "the zone after % is empty: write the interface's name, as in [fe80::1%25eth0]"
	}
	for i := 0; i < len(zone); i++ {
		if c := zone[i]; c <= ' ' || c >= 0x7f || c == '%' || c == '/' {
			return "", fmt.Sprintf("the zone %q has %q in it, which no interface's name has", zone, c)
		}
	}
	return zone, ""
}

// parseHost reads a host without brackets: an IPv4 address, a name, or nothing.
func parseHost(host string) (canonical, problem string) {
	if text, zone, hasZone := strings.Cut(host, "%"); hasZone {
		if _, err := netip.ParseAddr(text); err == nil {
			return "", fmt.Sprintf("an IPv4 address has no zone: leave %%%s out", zone)
		}
		return "", fmt.Sprintf("the host %q has a %% in it", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), ""
	}
	if host == "" {
		return "", ""
	}
	if host == "*" {
		return "", "write all addresses as no host at all, as in tcp://:80"
	}
	return parseName(host)
}

// parseName holds a name to the rules of RFC 1123 section 2.1, with the underscore that many have anyway.
func parseName(name string) (string, string) {
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c >= 0x80:
			return "", fmt.Sprintf("the host %q is not ASCII: write an international name as xn--...", name)
		case !isAlnum(c) && c != '-' && c != '_' && c != '.':
			return "", fmt.Sprintf("the host %q has %q in it", name, c)
		}
	}
	if len(name) > 253 {
		return "", fmt.Sprintf("the host has %d characters, and a name has at most 253", len(name))
	}
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, l := range labels {
		switch {
		case l == "":
			return "", fmt.Sprintf("the host %q has an empty part between its dots", name)
		case len(l) > 63:
			return "", fmt.Sprintf("the part %q of the host has %d characters, and at most 63 are allowed", l, len(l))
		case l[0] == '-' || l[len(l)-1] == '-':
			return "", fmt.Sprintf("the part %q of the host begins or ends with a hyphen", l)
		}
	}
	// No top-level name is all digits, so 127.0.0.256 and 10.1 are slips and not names.
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "", fmt.Sprintf("the host %q is no IPv4 address: that is four numbers from 0 to 255 without leading zeros",
			name)
	}
	return name, ""
}
