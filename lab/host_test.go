package lab_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/lab"
	"github.com/plexor-go/plexor/lab/link"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/sock"
	"github.com/plexor-go/plexor/wire"
	"github.com/plexor-go/plexor/wire/pcapng"
)

// TestRefused: what a host or a world can't do is an error that says so, with the kernel's number where it has one.
func TestRefused(t *testing.T) {
	w := lab.New(lab.Options{})
	defer w.Close()
	a, b := w.Host("a"), w.Host("b")
	w.Connect(a, b, link.Options{})
	addr := func(text string) sock.Addr {
		ap, err := sock.ParseAddr(text)
		if err != nil {
			t.Fatal(err)
		}
		return ap
	}
	taken, err := a.Listen(addr("tcp://:7"), sock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	of := func(_ any, err error) error { return err }
	for _, row := range []struct {
		name string
		err  error
		want error // nil: any
		says string
	}{
		{"a port that is taken", of(a.Listen(addr("tcp://:7"), sock.Options{})), syscall.EADDRINUSE, ""},
		{"another's address", of(a.Listen(addr("tcp://10.0.0.2:9"), sock.Options{})), syscall.EADDRNOTAVAIL, ""},
		{"another's address, for datagrams", of(a.Bind(addr("udp://10.0.0.2:9"), sock.Options{})),
			syscall.EADDRNOTAVAIL, ""},
		{"an option", of(a.Listen(addr("tcp://:9"), sock.Options{ReusePort: true})), errors.ErrUnsupported, "reuseport"},
		{"no route", of(a.Dial(addr("tcp://192.0.2.1:9"), sock.Options{})), syscall.EHOSTUNREACH, ""},
		{"a name that nobody has", of(a.LookupHost("c")), nil, `"c"`},
		{"goroutines in virtual time", of(a.DialContext(context.Background(), "tcp", "b:7")), nil, "Live"},
		{"a listener for goroutines in virtual time", of(a.Listener("tcp", ":9")), nil, "Live"},
		{"a driver of the kernel's", of(loop.New(loop.Options{Network: a, Driver: "poll"})), nil, "Options.Network"},
		{"the driver without a network", of(loop.New(loop.Options{Driver: "virtual"})), nil, "Options.Network"},
		{"spinning", of(loop.New(loop.Options{Network: a, Spin: 1})), nil, "Options.Spin"},
		{"SO_REUSEPORT", of(loop.NewGroup(loop.GroupOptions{Options: loop.Options{Network: a},
			Spread: loop.SpreadReusePort})), nil, "Spread"},
		{"a server that binds the kernel's", of((&plexor.Server{Network: a, Bind: func(string) (sock.Socket, error) {
			return sock.None, nil
		}}).Open("tcp://:9", plexor.HandlerFunc(func(*plexor.Conn) {}))), nil, "Server.Bind"},
	} {
		if row.err == nil || row.want != nil && !errors.Is(row.err, row.want) ||
			!strings.Contains(row.err.Error(), row.says) {
			t.Errorf("%s: %v; want %v, and %q in it", row.name, row.err, row.want, row.says)
		}
	}
	for name, f := range map[string]func(){
		"a second host of the name": func() { w.Host("a") },
		"a cable to another world":  func() { w.Connect(a, lab.New(lab.Options{}).Host("x"), link.Options{}) },
		"more cables than there may be": func() {
			full := lab.New(lab.Options{FirstCable: 1 << 16})
			full.Connect(full.Host("x"), full.Host("y"), link.Options{})
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is taken", name)
				}
			}()
			f()
		}()
	}
}

// TestUnix: there are no unix sockets.
func TestUnix(t *testing.T) {
	w := lab.New(lab.Options{})
	defer w.Close()
	srv := &plexor.Server{Network: w.Host("a")}
	defer srv.Close()
	_, err := srv.Open("unix:///tmp/none.sock", plexor.HandlerFunc(func(*plexor.Conn) {}))
	if !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Open of a unix address: %v", err)
	}
}

// TestCapture: a capture has each host's end of each cable by its name, and says what became of the frames.
func TestCapture(t *testing.T) {
	var b bytes.Buffer
	w := lab.New(lab.Options{Seed: 3, Capture: &b})
	client, server := w.Host("client"), w.Host("server")
	w.Connect(client, server, link.Options{Loss: 0.2})
	srv := &plexor.Server{Network: server, Handler: plexor.HandlerFunc(func(c *plexor.Conn) { _, _ = io.Copy(c, c) })}
	if _, err := srv.Open("tcp://:7", nil); err != nil {
		t.Fatal(err)
	}
	client.Go(func(ctx context.Context) error {
		c, err := plexor.Dial(ctx, "tcp://server:7")
		if err != nil {
			return err
		}
		if _, err := c.Write(make([]byte, 50_000)); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, 50_000)); err != nil {
			return err
		}
		return c.Close()
	})
	if err := errors.Join(w.Run(), srv.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	r := pcapng.NewReader(&b)
	frames, lost := 0, 0
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var k wire.Packet
		if err := k.Parse(p.Data); err != nil {
			t.Errorf("frame %d: %v", frames, err)
		}
		frames++
		for _, c := range p.Comments {
			if c == link.Lost.String() {
				lost++
			}
		}
	}
	if frames < 100 || lost < frames/10 || lost > frames/3 {
		t.Errorf("%d frames, of which %d were lost; want a fifth", frames, lost)
	}
}
