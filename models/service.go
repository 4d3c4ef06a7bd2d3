package models

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// A Service is what is done with what arrives. It keeps nothing of a connection.
type Service struct {
	Name  string
	reply func(p []byte) []byte
	count *atomic.Uint64 // of answers; nil: nobody wants to know
}

// The services. Both answer pieces: what one read got, wherever the network cut it.
var (
	Echo = Service{Name: "echo", reply: func(p []byte) []byte { return p }} // sends back what came
	// in upper case (a to z), with _SB behind each piece
	Upper = Service{Name: "upper", reply: upper}
)

// Reply answers a piece. The reply may be in p, which the service may change and append to.
func (s Service) Reply(p []byte) []byte {
	if s.count != nil {
		s.count.Add(1)
	}
	return s.reply(p)
}

const suffix = "_SB"

func upper(p []byte) []byte {
	for i, b := range p {
		if 'a' <= b && b <= 'z' {
			p[i] = b - ('a' - 'A')
		}
	}
	return append(p, suffix...)
}

// Services are all of them.
func Services() []Service { return []Service{Echo, Upper} }

// ErrUnknownService is a service's name that there is not.
var ErrUnknownService = errors.New("unknown service")

// FindService is the service of that name.
func FindService(name string) (Service, error) {
	var names []string
	for _, s := range Services() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Service{}, fmt.Errorf("%w %q: there are %s", ErrUnknownService, name, strings.Join(names, ", "))
}

// pieceSize is the longest piece in bytes that the models read which have a buffer a connection. Those on a loop have
// one buffer in all.
const pieceSize = 4 << 10

// newBuffer is a buffer for pieces, with room for what a service appends.
func newBuffer() []byte { return make([]byte, pieceSize, pieceSize+len(suffix)) }
