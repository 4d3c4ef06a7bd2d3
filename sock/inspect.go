package sock

import (
	"fmt"
	"strings"
)

// A Kind is what a descriptor that somebody handed over really is: what its number and its address do not tell.
type Kind struct {
	Family    string // "inet", "inet6", "unix", or the number of another
	Type      string // "stream", "datagram", "seqpacket", or the number of another: SOCK_STREAM and so on of socket(2)
	Listening bool   // SO_ACCEPTCONN
}

// String says it in words.
func (k Kind) String() string {
	s := fmt.Sprintf("a %s socket of type %s", k.Family, k.Type)
	if k.Listening {
		s += " that listens"
	} else if k.Type != "datagram" {
		s += " that does not listen"
	}
	return s
}

// Inspect asks the kernel what s is (socket(7): SO_TYPE, SO_ACCEPTCONN; getsockname(2)). An error means that it is no
// open socket. On Windows nothing is handed over, and the error is errors.ErrUnsupported.
func Inspect(s Socket) (Kind, error) { return sysInspect(s) }

// CheckServes checks that s, which somebody handed over, is what a server of scheme ("tcp", "udp" or "unix") listens
// on: its family, its type, and for streams that it listens. A SOCK_SEQPACKET socket would be read as a stream, and its
// messages would be merged and cut.
func CheckServes(s Socket, scheme string) error {
	k, err := Inspect(s)
	if err != nil {
		return err
	}
	want := Kind{Family: "inet", Type: "stream", Listening: true}
	switch scheme {
	case "udp":
		want = Kind{Family: "inet", Type: "datagram"}
	case "unix":
		want.Family = "unix"
	}
	have := k
	have.Family = strings.TrimSuffix(have.Family, "6")
	if have != want {
		return fmt.Errorf("descriptor %d is %v: a server of %s needs %v", s.FD(), k, scheme, want)
	}
	return nil
}
