package nats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/internal/natsnode"
	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// refused holds that Open fails with a text, and without the password.
func refused(t *testing.T, url, want string) {
	t.Helper()
	b, err := mqtest.Options().Open(within(t), url)
	if err == nil {
		_ = b.Close()
		t.Errorf("Open(%q) succeeded, want %q", url, want)
		return
	}
	if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open(%q): %v, want %q", url, err, want)
	}
}

func TestURLsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for url, want := range map[string]string{
		"nats+embedded://":                             "takes the folder of its data",
		"nats+embedded:///":                            "takes the folder of its data",
		"nats+embedded://host/x":                       "takes the folder of its data",
		"nats+embedded://" + dir + "?sync=2m":          "sync=2m: it is always or off",
		"nats+embedded://" + dir + "?store=8GB":        "store=8GB: it is a number of bytes, as 1000, 64MiB, 8GiB",
		"nats+embedded://" + dir + "?store=-1":         "store=-1: it is a number of bytes",
		"nats+embedded://" + dir + "?store=99999TiB":   "it is a number of bytes",
		"nats+embedded://" + dir + "?disk=1":           `unknown parameter "disk"`,
		"nats+embedded://" + dir + "?replicas=3":       `"replicas": a server in the process stands alone`,
		"nats+embedded://" + dir + "?routes=h:1":       "nats:// connects to it",
		"nats+embedded://" + dir + "?listen=0.0.0.0:0": "needs a User and Password",
		"nats+embedded:///dev/null/x":                  "not a directory",
		"nats://u:secret@127.0.0.1:1?x=1":              `unknown parameter "x"`,
		"nats://127.0.0.1:1?replicas=0":                "replicas=0: it is 1 to 5",
		"nats://127.0.0.1:1?replicas=6":                "replicas=6: it is 1 to 5",
		"nats://127.0.0.1:1?sync=off":                  "sync=off: it is always, or left out",
	} {
		refused(t, url, want)
	}
	refused(t, "nats://u:secret@127.0.0.1:1", "is nats-server -js started there?")
}

// TestServersRefused: a server that is not what is needed.
func TestServersRefused(t *testing.T) {
	t.Parallel()
	locked := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir(), User: "u", Password: "p"})
	refused(t, "nats://u:secret@"+locked.Addr().String(), "refuses user or password")
	refused(t, "nats://"+locked.Addr().String(), "refuses user or password")
	refused(t, "nats://"+server(t, natsnode.Options{}).Addr().String(), "has no JetStream: start it with nats-server -js")
	refused(t, "nats://"+old(t), "version 2.9.3: it must be 2.11 or newer")
}

// TestLacks: a queue that asks for more than NATS can is refused when it is opened, with the reason and who can.
func TestLacks(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir()})
	for name, b := range map[string]*mq.Broker{
		"nats+embedded": mqtest.Broker(t, "nats+embedded://"+t.TempDir()),
		"nats":          mqtest.Broker(t, "nats://"+n.Addr().String()),
	} {
		var lack *mq.CapabilityError
		_, err := b.Queue(within(t), "q", mq.QueueOptions{Priorities: 2})
		if !errors.As(err, &lack) || lack.Backend != name || lack.Lack != "2 priorities (it has 1 at most)" ||
			len(lack.Can) != 1 || lack.Can[0] != "mem" {
			t.Errorf("%s: priorities: %v", name, err)
		}
		if names, err := b.Queues(within(t)); err != nil || len(names) != 0 {
			t.Errorf("%s: there are queues: %q, %v", name, names, err)
		}
	}
}

// old plays a server of an old version.
func old(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "INFO {\"server_id\":\"x\",\"version\":\"2.9.3\",\"headers\":true,\"max_payload\":1048576}\r\n")
			for lines := bufio.NewScanner(c); lines.Scan(); {
				if lines.Text() == "PING" {
					fmt.Fprint(c, "PONG\r\n")
				}
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// TestAlienStream: a stream that somebody else made under a queue's name is left alone.
func TestAlienStream(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir()})
	nc, err := n.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	theirs := jetstream.StreamConfig{Name: jobsPrefix + "q", Subjects: []string{"x"}}
	if _, err := js.CreateStream(within(t), theirs); err != nil {
		t.Fatal(err)
	}
	b := mqtest.Broker(t, "nats://"+n.Addr().String())
	if _, err := b.Queue(within(t), "q", mq.QueueOptions{}); err == nil ||
		!strings.Contains(err.Error(), "was not made by package mq") {
		t.Errorf("a stream of somebody else's: %v", err)
	}
	if _, err := b.Queue(within(t), "big", mq.QueueOptions{MaxBytes: 1 << 50}); err == nil ||
		!strings.Contains(err.Error(), "has no room") {
		t.Errorf("a queue that the store has no room for: %v", err)
	}
	three := mq.QueueOptions{Replicas: 3}
	if _, err := b.Queue(within(t), "three", three); err == nil || !strings.Contains(err.Error(), "as many nodes") {
		t.Errorf("three replicas on one node: %v", err)
	}
}

// TestForeignMessages: what another client publishes to a queue's subjects is a job as far as it can be read, and no
// header of a job is taken for an order to the server.
func TestForeignMessages(t *testing.T) {
	t.Parallel()
	n := server(t, natsnode.Options{JetStream: true, Dir: t.TempDir()})
	b := mqtest.Broker(t, "nats://"+n.Addr().String())
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := n.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	foreign := &natsgo.Msg{Subject: subjectPrefix + "q.j.0.a", Data: []byte("foreign"), Header: natsgo.Header{
		idHeader: {"%zz"}, deadlineHeader: {"soon"}, restHeader: {"%"}, "Theirs": {"1"}, "Plexor-New": {"1"}}}
	if _, err := js.PublishMsg(within(t), foreign); err != nil {
		t.Fatal(err)
	}
	orders := map[string]string{"Nats-Rollup": "all", "nats-ttl": "1s", "Nats-Expected-Stream": "other",
		"Nats-Schedule": "@at 2020-01-01T00:00:00Z", "Status": "100", "Description": "x", "Nats-Msg-Id": "1"}
	for range 2 {
		if _, err := q.Publish(within(t), mq.Message{Body: []byte("ours"), Header: orders}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(within(t))
	var got []string
	err = q.Consume(ctx, mq.Consumer{InFlight: 1}, func(_ context.Context, j *mq.Job) error {
		got = append(got, string(j.Body))
		if string(j.Body) == "foreign" && (j.Header["Theirs"] != "1" || len(j.Header) != 1 || j.ID == "") {
			t.Errorf("the foreign one is %+v", j)
		}
		if string(j.Body) == "ours" && len(j.Header) != len(orders) {
			t.Errorf("the headers came as %q", j.Header)
		}
		if len(got) == 3 {
			cancel()
		}
		return nil
	})
	if err != nil || len(got) != 3 {
		t.Errorf("came: %q, %v", got, err)
	}
}

// TestDoor: a folder with a long name is served too, nobody else may enter, and a second process in it finds the first.
func TestDoor(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("long names are Linux's alone")
	}
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 40))
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	if b.Capabilities().Durability != mq.Synced {
		t.Errorf("it says %v", b.Capabilities().Durability)
	}
	info, err := os.Stat(filepath.Join(dir, doorFolder))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the door's folder: %v, %v", info, err)
	}
	a := newAccount()
	a.start(t, role{URL: "nats+embedded://" + dir, Name: "child", Publish: true}).await()
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	err = q.Consume(ctx, mq.Consumer{}, func(context.Context, *mq.Job) error { cancel(); return nil })
	if err != nil {
		t.Error(err)
	}
	if _, err := mqtest.Options().Open(within(t), "nats+embedded://"+dir+"?sync=off"); err == nil ||
		!strings.Contains(err.Error(), "with other parameters") {
		t.Errorf("other parameters in the same process: %v", err)
	}
}

// TestDoorShut: the process that has the folder ends just when another one has come in: that one takes over.
func TestDoorShut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, doorFolder)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (promise{Sync: true, Store: embeddedStore, Memory: embeddedMemory}).write(folder); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, doorFolder, doorName))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 2 { // one to see whether somebody is there
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
		_ = l.Close()
	}()
	b, err := mqtest.Options().Open(within(t), "nats+embedded://"+dir)
	_ = l.Close() // it is closed, unless Open did not come so far
	<-ended
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestLocked: a folder whose owner does not let anybody in is told of, when the time is up.
func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n, err := natsnode.Start(within(t), natsnode.Options{JetStream: true, Dir: dir, Log: mqtest.Options().Log})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithCancelCause(within(t))
	cancel(errors.New("enough"))
	_, err = mqtest.Options().Open(ctx, "nats+embedded://"+dir)
	if err == nil || !strings.Contains(err.Error(), "is locked by a process that does not answer: enough") {
		t.Errorf("a folder that another has: %v", err)
	}
}

// TestUnsynced: without sync it says so, and a queue that needs it is refused.
func TestUnsynced(t *testing.T) {
	t.Parallel()
	b := mqtest.Broker(t, "nats+embedded://"+t.TempDir()+"?sync=off&store=64MiB&memory=1MiB")
	if d := b.Capabilities().Durability; d != mq.Written {
		t.Errorf("it says %v", d)
	}
	var lack *mq.CapabilityError
	if _, err := b.Queue(within(t), "q", mq.QueueOptions{Durability: mq.Synced}); !errors.As(err, &lack) {
		t.Errorf("a queue that needs to be synced: %v", err)
	}
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 900<<10) // until the store is full
	for n := 0; ; n++ {
		_, err := q.Publish(within(t), mq.Message{Body: body})
		if errors.Is(err, mq.ErrFull) && mq.StoredBy(err) == mq.NotStored {
			break
		}
		if err != nil || n > 100 {
			t.Fatalf("publish %d into 64 MiB: %v, want ErrFull some time", n, err)
		}
	}
}
