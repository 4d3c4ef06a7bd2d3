package stage

import (
	"context"
	"go/ast"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/conformance"
	"github.com/plexor-go/plexor/lab"
)

// Listen takes connections for a test, at a free port: of the stage that the test takes place on, else of the kernel's
// loopback.
func Listen(t testing.TB) (net.Listener, error) {
	if s := Of(t.Name()); s != nil {
		return s.Loops.Listener("tcp", s.LoopsNet)
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// ListenAt is net.ListenConfig's Listen, on a stage where the address is one's.
func ListenAt(ctx context.Context, network, address string) (net.Listener, error) {
	if own, _ := hosts(address); own != nil {
		return own.Listener("tcp", address)
	}
	return new(net.ListenConfig).Listen(ctx, network, address)
}

// Dial is net.Dial of tcp, on a stage where the address is one's.
func Dial(address string) (net.Conn, error) { return DialContext(context.Background(), "tcp", address) }

// DialContext is net.Dialer's, on a stage where the address is one's.
func DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if _, other := hosts(address); other != nil {
		return other.DialContext(ctx, "tcp", address)
	}
	return new(net.Dialer).DialContext(ctx, network, address)
}

// hosts are the one of a stage that has the address, and the other; nil where there is none.
func hosts(address string) (own, other *lab.Host) {
	host, _, _ := net.SplitHostPort(address)
	s := Of(host)
	switch {
	case s == nil:
		return nil, nil
	case host == s.LoopsIP:
		return s.Loops, s.Peers
	}
	return s.Peers, s.Loops
}

// A Play is which of a package's tests take place in a lab too.
type Play struct {
	Tests []func(t *testing.T)
	// Kernels are tests that cannot, with the reason.
	Kernels map[string]string
	// Calls are the functions by which tests of the package get connections: each test that calls one is in Tests or in
	// Kernels.
	Calls []string
}

// Run has the tests take place on stages of their own, as parts of t.
func (p Play) Run(t *testing.T) {
	var played []string
	for _, f := range p.Tests {
		name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
		name = name[strings.LastIndexByte(name, '.')+1:]
		played = append(played, name)
		t.Run(Driver+"/"+name, func(t *testing.T) {
			Enter(t)
			f(t)
		})
	}
	calls := func(n ast.Node) (found bool) {
		ast.Inspect(n, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				id, ok := c.Fun.(*ast.Ident)
				found = found || ok && slices.Contains(p.Calls, id.Name)
			}
			return !found
		})
		return found
	}
	there := conformance.Functions(t)
	for name, f := range there {
		known := slices.Contains(played, name) || p.Kernels[name] != ""
		if strings.HasPrefix(name, "Test") && name != t.Name() && !known && calls(f.Body) {
			t.Errorf("%s takes place in no lab: add it to the tests that do, or a reason", name)
		}
	}
	Known(t, p.Kernels)
	for name := range p.Kernels {
		if slices.Contains(played, name) {
			t.Errorf("%s does take place in a lab", name)
		}
	}
	if len(played) == 0 {
		t.Error("no test takes place in a lab")
	}
}

// Known holds that tests of these names, which do not take place in a lab, are there.
func Known(t *testing.T, kernels map[string]string) {
	t.Helper()
	there := conformance.Functions(t)
	for name := range kernels {
		if there[name] == nil || !strings.HasPrefix(name, "Test") {
			t.Errorf("there is no %s", name)
		}
	}
}
