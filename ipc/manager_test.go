package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/internal/leak"
)

// manage serves a manager for a test.
func manage(t testing.TB, o ManagerOptions) *Manager {
	t.Helper()
	path := socketPath(t)
	before := leak.Take()
	if o.Log == nil {
		o.Log = quiet
	}
	m, err := ServeManager(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil && !errors.Is(err, plexorClosed) {
			t.Errorf("Close: %v", err)
		}
		if left := before.Left(); left != "" {
			t.Error(left)
		}
	})
	return m
}

// client connects to a manager for a test.
func client(t testing.TB, ctx context.Context, m *Manager) *Client {
	t.Helper()
	c, err := DialManager(ctx, m.Path(), m.Token())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// eachClient runs f as a goroutine and as a coroutine, with a client of a manager of its own.
func eachClient(t *testing.T, f func(t *testing.T, ctx context.Context, m *Manager, c *Client)) {
	for _, caller := range []string{"goroutine", "coroutine"} {
		t.Run(caller, func(t *testing.T) {
			m := manage(t, ManagerOptions{})
			run := func(ctx context.Context) error {
				c, err := DialManager(ctx, m.Path(), m.Token())
				if err != nil {
					t.Error(err)
					return nil
				}
				defer c.Close()
				f(t, ctx, m, c)
				return nil
			}
			runAs(t, caller, run)
		})
	}
}

// want fails the test unless got is want, and err nil.
func want[T any](t *testing.T, what string, got T, err error, want T) {
	t.Helper()
	if err != nil || !equal(got, want) {
		t.Errorf("%s = %v, %v, want %v", what, got, err, want)
	}
}

func equal(a, b any) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// wantErr fails the test unless err is want.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestMap(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, _ *Manager, c *Client) {
		m := OpenMap[string, point](c, "m")
		v, ok, err := m.Get(ctx, "a")
		want(t, "Get of what is not there", v, err, point{})
		want(t, "ok", ok, err, false)
		ok, err = m.Delete(ctx, "a")
		want(t, "Delete of what is not there", ok, err, false)
		want(t, "Set", "", m.Set(ctx, "a", point{1, 2, "x"}), "")
		want(t, "Set", "", m.Set(ctx, "a", point{3, 4, "y"}), "")
		want(t, "Set", "", m.Set(ctx, "", point{}), "")
		v, ok, err = m.Get(ctx, "a")
		want(t, "Get", v, err, point{3, 4, "y"})
		want(t, "ok", ok, err, true)
		n, err := m.Len(ctx)
		want(t, "Len", n, err, 2)
		all, err := m.All(ctx)
		want(t, "All", maps.Equal(all, map[string]point{"a": {3, 4, "y"}, "": {}}), err, true)
		ok, err = m.Delete(ctx, "a")
		want(t, "Delete", ok, err, true)
		n, err = m.Len(ctx)
		want(t, "Len", n, err, 1)

		byInt := OpenMap[int, []byte](c, "by int")
		want(t, "Set", "", byInt.Set(ctx, -7, []byte{0, 255}), "")
		b, _, err := byInt.Get(ctx, -7)
		want(t, "Get", b, err, []byte{0, 255})

		wantErr(t, "a list of that name", func() error { _, err := OpenList[int](c, "m").Append(ctx, 1); return err }(),
			ErrKind)
		unencodable := OpenMap[string, any](c, "any")
		if err := unencodable.Set(ctx, "f", func() {}); err == nil {
			t.Error("a function was set")
		}
	})
}

func TestList(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, _ *Manager, c *Client) {
		l := OpenList[string](c, "l")
		all, err := l.All(ctx)
		want(t, "All of none", all, err, []string{})
		for i, s := range []string{"b", "d", ""} {
			n, err := l.Append(ctx, s)
			want(t, "Append", n, err, i+1)
		}
		want(t, "Insert", "", l.Insert(ctx, 0, "a"), "")
		want(t, "Insert", "", l.Insert(ctx, 2, "c"), "")
		want(t, "Insert", "", l.Insert(ctx, 5, "e"), "")
		want(t, "Set", "", l.Set(ctx, 3, "D"), "")
		all, err = l.All(ctx)
		want(t, "All", all, err, []string{"a", "b", "c", "D", "", "e"})
		s, err := l.Get(ctx, 1)
		want(t, "Get", s, err, "b")
		s, err = l.Remove(ctx, 0)
		want(t, "Remove", s, err, "a")
		n, err := l.Len(ctx)
		want(t, "Len", n, err, 5)
		_, err = l.Get(ctx, 5)
		wantErr(t, "Get(5)", err, ErrIndex)
		_, err = l.Remove(ctx, -1)
		wantErr(t, "Remove(-1)", err, ErrIndex)
		wantErr(t, "Set(5)", l.Set(ctx, 5, ""), ErrIndex)
		wantErr(t, "Insert(6)", l.Insert(ctx, 6, ""), ErrIndex)
		wantErr(t, "Insert(-1)", l.Insert(ctx, -1, ""), ErrIndex)
	})
}

func TestValueCounterNamespace(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, _ *Manager, c *Client) {
		v := OpenValue[map[string]int](c, "v")
		_, ok, err := v.Get(ctx)
		want(t, "ok", ok, err, false)
		want(t, "Set", "", v.Set(ctx, map[string]int{"x": 1}), "")
		got, ok, err := v.Get(ctx)
		want(t, "Get", got["x"], err, 1)
		want(t, "ok", ok, err, true)
		empty := OpenValue[string](c, "empty")
		want(t, "Set", "", empty.Set(ctx, ""), "")
		_, ok, err = empty.Get(ctx)
		want(t, "ok of an empty value", ok, err, true)

		n := OpenCounter(c, "n")
		for _, row := range []struct{ add, want int64 }{{0, 0}, {5, 5}, {-7, -2}, {0, -2}} {
			sum, err := n.Add(ctx, row.add)
			want(t, fmt.Sprintf("Add(%d)", row.add), sum, err, row.want)
		}
		want(t, "Set", "", n.Set(ctx, 1<<62), "")
		_, err = n.Add(ctx, 1<<62)
		wantErr(t, "an overflow", err, ErrLimit)
		sum, err := n.Get(ctx)
		want(t, "Get", sum, err, 1<<62)

		ns := OpenNamespace(c, "ns")
		size, name := AttributeOf[int](ns, "size"), AttributeOf[string](ns, "name")
		want(t, "Set", "", size.Set(ctx, 3), "")
		want(t, "Set", "", name.Set(ctx, "three"), "")
		i, _, err := size.Get(ctx)
		want(t, "size", i, err, 3)
		s, _, err := name.Get(ctx)
		want(t, "name", s, err, "three")
		names, err := ns.Names(ctx)
		slices.Sort(names)
		want(t, "Names", names, err, []string{"name", "size"})
		ok, err = size.Delete(ctx)
		want(t, "Delete", ok, err, true)
	})
}

func TestDo(t *testing.T) {
	eachClient(t, func(t *testing.T, ctx context.Context, _ *Manager, c *Client) {
		from, to := OpenCounter(c, "from"), OpenCounter(c, "to")
		log, state := OpenList[string](c, "log"), OpenValue[string](c, "state")
		m, ev := OpenMap[string, int](c, "m"), OpenEvent(c, "ev")
		move := []Step{from.Is(0), state.Lacks(), m.Lacks("k"), from.Adding(-5), to.Adding(5), log.Appending("moved"),
			state.Setting("done"),
			m.Setting("k", 1), m.Setting("gone", 1), m.Deleting("gone"), ev.Setting()}
		ok, err := c.Do(ctx, move...)
		want(t, "Do", ok, err, true)
		ok, err = c.Do(ctx, move...)
		want(t, "Do again", ok, err, false)
		n, err := to.Get(ctx)
		want(t, "to", n, err, 5)
		n, err = from.Get(ctx)
		want(t, "from", n, err, -5)
		all, err := log.All(ctx)
		want(t, "log", all, err, []string{"moved"})
		for _, row := range []struct {
			name string
			step Step
			want bool
		}{
			{"Map.Is", m.Is("k", 1), true}, {"Map.Is, another value", m.Is("k", 2), false},
			{"Map.Is, no key", m.Is("j", 1), false},
			{"Map.Has", m.Has("k"), true}, {"Map.Has, no key", m.Has("gone"), false}, {"Map.Lacks", m.Lacks("k"), false},
			{"Value.Is", state.Is("done"), true}, {"Value.Is, another", state.Is(""), false},
			{"Value.Lacks", state.Lacks(), false},
			{"Counter.Is", to.Is(5), true}, {"Counter.Is, another", to.Is(0), false}, {"Event.Is", ev.Is(), true},
			{"of nothing", OpenMap[string, int](c, "none").Has("k"), false},
			{"an event of nothing", OpenEvent(c, "none").Is(), false},
		} {
			ok, err := c.Do(ctx, row.step)
			want(t, row.name, ok, err, row.want)
		}
		// None of the steps, if one can't be.
		_, err = c.Do(ctx, to.Adding(1), OpenValue[int](c, "from").Setting(1))
		wantErr(t, "a step of the wrong kind", err, ErrKind)
		_, err = c.Do(ctx, to.Adding(1), OpenValue[int](c, "new").Setting(1), OpenCounter(c, "new").Adding(1))
		wantErr(t, "a new name of two kinds", err, ErrKind)
		_, err = c.Do(ctx, to.Adding(1<<62), to.Adding(1<<62))
		wantErr(t, "an overflow in two steps", err, ErrLimit)
		_, err = c.Do(ctx, make([]Step, maxSteps+1)...)
		wantErr(t, "too many steps", err, ErrLimit)
		n, err = to.Get(ctx)
		want(t, "to after all that", n, err, 5)
		ok, err = c.Do(ctx)
		want(t, "Do nothing", ok, err, true)
	})
}

// TestManagerAuth: who does not know the token gets nothing, on either side.
func TestManagerAuth(t *testing.T) {
	var log logBook
	m := manage(t, ManagerOptions{Log: slog.New(slog.NewTextHandler(&log, nil))})
	ctx := limited(t)
	for _, token := range []string{"", "guess", string(m.Token()) + "x"} {
		_, err := DialManager(ctx, m.Path(), []byte(token))
		wantErr(t, "DialManager with a wrong token", err, ErrAuth)
	}
	info, err := os.Stat(m.Path())
	if err != nil || info.Mode().Perm() != private {
		t.Errorf("the socket's permissions are %v, %v, want %o", info.Mode(), err, private)
	}
	for _, row := range []struct{ name, hello, verdict string }{
		{"short", "\x00\x00\x00\x01x", ""}, {"too long", "\x00\x00\x01\x01", ""},
		{"no frame", strings.Repeat("\xff", 100), ""},
		{"wrong proof", "\x00\x00\x00\x40" + strings.Repeat("x", 64), "\x00\x00\x00\x02" + verdictNo},
	} {
		wantVerdict(t, row.name, m, row.hello, row.verdict)
	}
	want(t, "a client that knows it", OpenCounter(client(t, ctx, m), "n").Set(ctx, 1), nil, nil)
	if !strings.Contains(log.text(), "authentication failed") {
		t.Errorf("the log does not tell of it:\n%s", log.text())
	}

	// A manager that does not know the token is not believed.
	path := socketPath(t)
	l, err := ListenPipe(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.l.accept(ctx)
		if err != nil {
			return
		}
		defer nc.Close()
		out, _ := frame.NewWriter(nc, managerCodec(maxHello))
		in, _ := frame.NewReader(nc, managerCodec(maxHello))
		out.Write(append([]byte(greeting), make([]byte, nonceSize)...))
		in.Next()
		out.Write(append([]byte(verdictOK), make([]byte, proofSize+1)...))
	}()
	_, err = DialManager(ctx, path, []byte("token"))
	wantErr(t, "a manager that does not know the token", err, ErrAuth)
}

// TestManagerHandshakeTimeout: one that says nothing, or a part of what it has to, is not waited for.
func TestManagerHandshakeTimeout(t *testing.T) {
	m := manage(t, ManagerOptions{HandshakeTimeout: 50 * time.Millisecond})
	wantVerdict(t, "nothing", m, "", "")
	wantVerdict(t, "a part", m, "\x00\x00\x00\x40x", "")
}

// wantVerdict says hello to a manager. What that says is its challenge, the verdict, and no more.
func wantVerdict(t *testing.T, name string, m *Manager, hello, verdict string) {
	t.Helper()
	nc, err := net.Dial("unix", m.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	io.WriteString(nc, hello)
	b, err := io.ReadAll(nc)
	const challenge = 4 + len(greeting) + nonceSize // it is random, and may hold any text
	if errors.Is(err, os.ErrDeadlineExceeded) || len(b) < challenge || string(b[challenge:]) != verdict {
		t.Errorf("%s: got %q, %v", name, b, err)
	}
}

func TestManagerBounds(t *testing.T) {
	m := manage(t, ManagerOptions{MaxMessage: 1000, MaxObjects: 3, MaxMemory: 3000, MaxWaits: 2, MaxClients: 2})
	ctx := limited(t)
	c := client(t, ctx, m)
	mp := OpenMap[string, string](c, "m")
	wantErr(t, "a value longer than a message", mp.Set(ctx, "k", strings.Repeat("x", 1000)), ErrLimit)
	longest := strings.Repeat("x", 985)
	want(t, "the longest value", "", mp.Set(ctx, "k", longest), "")
	v, _, err := mp.Get(ctx, "k")
	want(t, "Get", v, err, longest)
	var refused error
	for i := 0; i < 10 && refused == nil; i++ {
		refused = mp.Set(ctx, fmt.Sprint(i), longest[:900])
	}
	wantErr(t, "more memory than there is", refused, ErrLimit)
	_, err = mp.All(ctx)
	wantErr(t, "All that is longer than a message", err, ErrLimit)
	for i := range 5 {
		if _, err := mp.Delete(ctx, fmt.Sprint(i)); err != nil {
			t.Error(err)
		}
	}
	want(t, "Delete makes room", "", mp.Set(ctx, "0", longest[:900]), "")
	_, err = OpenCounter(c, "a").Add(ctx, 1)
	want(t, "a second name", "", err, "")
	e := OpenEvent(c, "e")
	waits(t, m, 1, func() (string, error) { return "", e.Wait(ctx) })
	waits(t, m, 2, func() (string, error) { return "", e.Wait(ctx) })
	wantErr(t, "one wait too many", e.Wait(ctx), ErrLimit)
	_, err = OpenCounter(c, "b").Add(ctx, 1)
	wantErr(t, "a name too many", err, ErrLimit)
	_, err = c.Do(ctx, OpenCounter(c, "b").Adding(1))
	wantErr(t, "a name too many, in a batch", err, ErrLimit)
	client(t, ctx, m)
	if third, err := DialManager(ctx, m.Path(), m.Token()); err == nil {
		third.Close()
		t.Error("a client too many was let in")
	}
	c.Close()
	for _, o := range []ManagerOptions{{Token: []byte{}}, {MaxMessage: -1}, {MaxClients: -1}, {HandshakeTimeout: -1}} {
		if m, err := ServeManager("/nowhere", o); err == nil || strings.Contains(err.Error(), "nowhere: no such") {
			m.Close()
			t.Errorf("ServeManager(%+v): %v", o, err)
		}
	}
}

// TestManagerMalformed: a client that breaks the protocol is cut off, and nobody else.
func TestManagerMalformed(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	good := client(t, ctx, m)
	for _, row := range []struct{ name, msg string }{
		{"empty", ""}, {"no step", "\x01\x01"}, {"unknown kind", "\x01\x09"},
		{"unknown op", "\x01\x01\xee\x01n\x00\x00\x00\x00"},
		{"cut off", "\x01\x01\x01\x05n"}, {"cancel with a step", "\x01\x03\x01\x01n\x00\x00\x00\x00"},
	} {
		bad := client(t, ctx, m)
		if err := bad.s.send(ctx, "", append([]byte{0, 0, 0, byte(len(row.msg))}, row.msg...), nil, nil); err != nil {
			t.Fatal(err)
		}
		err := OpenEvent(bad, "e").Wait(ctx)
		wantErr(t, row.name, err, ErrGone)
		bad.Close()
	}
	_, err := OpenCounter(good, "n").Add(ctx, 1)
	want(t, "the other one", "", err, "")
}

// TestManagerClosed: the end of either side is told to those who wait.
func TestManagerClosed(t *testing.T) {
	m := manage(t, ManagerOptions{})
	ctx := limited(t)
	a, b := client(t, ctx, m), client(t, ctx, m)
	wa := waits(t, m, 1, func() (string, error) { return "", OpenEvent(a, "e").Wait(ctx) })
	wb := waits(t, m, 2, func() (string, error) { return "", OpenEvent(b, "e").Wait(ctx) })
	want(t, "Close", "", a.Close(), "")
	wantErr(t, "a wait of a closed client", receive(t, wa, "the end of the wait").err, net.ErrClosed)
	wantErr(t, "a call of a closed client", OpenEvent(a, "e").Set(ctx), net.ErrClosed)
	wantErr(t, "a second Close", a.Close(), net.ErrClosed)
	m.Close()
	wantErr(t, "a wait at a closed manager", receive(t, wb, "the end of the wait").err, ErrGone)
	if _, err := DialManager(ctx, m.Path(), m.Token()); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("DialManager after Close: %v, want ENOENT", err)
	}
}

// TestManagerMany: many callers on one client and on several, half of them coroutines; a lock keeps a counter that is
// read and written in two calls.
func TestManagerMany(t *testing.T) {
	m := manage(t, ManagerOptions{})
	const callers, each = 8, 20
	ctx := limited(t)
	shared := client(t, ctx, m)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			runAs(t, []string{"goroutine", "coroutine"}[i%2], func(ctx context.Context) error {
				c := shared
				if i >= callers/2 {
					c = client(t, ctx, m)
					defer c.Close()
				}
				l, v := OpenLock(c, "l"), OpenValue[int](c, "v")
				for range each {
					token, err := l.Lock(ctx)
					if err != nil {
						t.Error(err)
						return nil
					}
					n, _, err := v.Get(ctx)
					if err == nil {
						err = v.Set(ctx, n+1)
					}
					if err == nil {
						err = l.Unlock(ctx, token)
					}
					if err != nil {
						t.Error(err)
						return nil
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	n, _, err := OpenValue[int](shared, "v").Get(ctx)
	want(t, "the counter", n, err, callers*each)
}
