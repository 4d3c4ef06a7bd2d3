package sock

import (
	"errors"
	"slices"
	"testing"
)

// fakeTry stands in for making a socket: it fails for the addresses that it is told, and keeps what it was
// asked for.
func fakeTry(asked *[]string, fails map[string]error) func(endpoint) (Socket, error) {
	return func(e endpoint) (Socket, error) {
		*asked = append(*asked, e.ip.String())
		if err := fails[e.ip.String()]; err != nil {
			return None, &Error{Call: "bind", Err: err}
		}
		return Socket(len(*asked)), nil
	}
}

// All addresses on machines that this one is not: without IPv6, or with IPv6 sockets that have no IPv4.
func TestListenOnAll(t *testing.T) {
	saved := system
	defer func() { system = saved }()
	for _, row := range []struct {
		name  string
		dual  bool
		fails map[string]error
		asked []string
		want  error
	}{
		{"with IPv6", true, nil, []string{"[::]:5"}, nil},
		{"without the family", true, map[string]error{"[::]:5": errNoFamily}, []string{"[::]:5", "0.0.0.0:5"}, nil},
		{"without the address", true, map[string]error{"[::]:5": errNotAvail}, []string{"[::]:5", "0.0.0.0:5"}, nil},
		{"in use", true, map[string]error{"[::]:5": errInUse}, []string{"[::]:5"}, errInUse},
		{"IPv4 in use", true, map[string]error{"[::]:5": errNoFamily, "0.0.0.0:5": errInUse}, []string{"[::]:5", "0.0.0.0:5"},
			errInUse},
		{"not dual-stack", false, nil, []string{"0.0.0.0:5"}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			system.dualStack = row.dual
			var asked []string
			s, err := onAll(Addr{Scheme: "tcp", Port: 5}.endpoint(), fakeTry(&asked, row.fails))
			if !slices.Equal(asked, row.asked) || !errors.Is(err, row.want) || (err == nil) != (s != None) {
				t.Errorf("asked for %v and got %d, %v; want %v and %v", asked, s, err, row.asked, row.want)
			}
		})
	}
}

// The addresses behind a name: those that the machine lacks are passed over, any other error is the answer.
func TestFirstOf(t *testing.T) {
	addrs := []Addr{{Scheme: "tcp", Host: "::1", Port: 5}, {Scheme: "tcp", Host: "127.0.0.1", Port: 5}}
	for _, row := range []struct {
		name  string
		fails map[string]error
		asked []string
		want  error
	}{
		{"the first", nil, []string{"[::1]:5"}, nil},
		{"no IPv6", map[string]error{"[::1]:5": errNoFamily}, []string{"[::1]:5", "127.0.0.1:5"}, nil},
		{"not this machine's", map[string]error{"[::1]:5": errNotAvail}, []string{"[::1]:5", "127.0.0.1:5"}, nil},
		{"no way there", map[string]error{"[::1]:5": errNetUnreach}, []string{"[::1]:5", "127.0.0.1:5"}, nil},
		{"in use", map[string]error{"[::1]:5": errInUse}, []string{"[::1]:5"}, errInUse},
		{"none", map[string]error{"[::1]:5": errNoFamily, "127.0.0.1:5": errNotAvail}, []string{"[::1]:5", "127.0.0.1:5"},
			errNotAvail},
	} {
		t.Run(row.name, func(t *testing.T) {
			var asked []string
			s, err := firstOf(addrs, fakeTry(&asked, row.fails))
			if !slices.Equal(asked, row.asked) || !errors.Is(err, row.want) || (err == nil) != (s != None) {
				t.Errorf("asked for %v and got %d, %v; want %v and %v", asked, s, err, row.asked, row.want)
			}
		})
	}
}
