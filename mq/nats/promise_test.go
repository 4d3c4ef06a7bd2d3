package nats

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestPromise: who wants other parameters than the process that serves the folder is refused, and told of both; with
// the same ones, written in another way, it is let in.
func TestPromise(t *testing.T) {
	t.Parallel()
	dir := filepath.ToSlash(t.TempDir())
	url := "nats+embedded://" + dir
	newAccount().start(t, role{URL: url + "?sync=off&store=64MiB"}).await()
	for _, query := range []string{"", "?sync=off", "?store=64MiB", "?sync=off&store=64MiB&memory=1MiB",
		"?sync=off&store=64MiB&listen=127.0.0.1:0"} {
		b, err := mqtest.Options().Open(within(t), url+query)
		if err == nil {
			_ = b.Close()
		}
		if !errors.Is(err, errOther) || !strings.Contains(err.Error(), url+"?store=67108864&sync=off, and") {
			t.Errorf("%s: %v", query, err)
		}
	}
	b := mqtest.Broker(t, url+"?store=65536KiB&sync=off&memory=64MiB")
	if err := b.Publish(within(t), "q", nil); err != nil {
		t.Error(err)
	}
}

// TestPromiseMissing: a process that does not say with which parameters it serves is not believed to have ours.
func TestPromiseMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	newAccount().start(t, role{URL: "nats+embedded://" + filepath.ToSlash(dir)}).await()
	name := filepath.Join(dir, doorFolder, promiseName)
	for _, text := range []string{"", "{"} {
		err := os.Remove(name)
		if text != "" {
			err = os.WriteFile(name, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = mqtest.Options().Open(within(t), "nats+embedded://"+filepath.ToSlash(dir))
		if !errors.Is(err, errOther) || !strings.Contains(err.Error(), "end it first") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestPromiseLater: the process that served ends, and one with other parameters is there first: who was in publishes
// nothing to it, and is told why, until it has ended, too.
func TestPromiseLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "nats+embedded://" + filepath.ToSlash(dir)
	first := newAccount().start(t, role{URL: url})
	first.await()
	b := mqtest.Broker(t, url)
	publish := func(want error) {
		t.Helper()
		end := time.Now().Add(patience)
		for next := time.Tick(reconnectWait); ; <-next {
			err := b.Publish(within(t), "q", nil)
			if errors.Is(err, want) {
				if err != nil && mq.StoredBy(err) != mq.NotStored {
					t.Errorf("%v is %v", err, mq.StoredBy(err))
				}
				return
			}
			if time.Now().After(end) {
				t.Fatalf("publish: %v, want %v", err, want)
			}
		}
	}
	publish(nil)
	homes.Lock()
	h := homes.of[filepath.Clean(dir)]
	homes.Unlock()
	h.mu.Lock() // so that this process is not the first to find that the server has ended
	first.kill()
	second := newAccount().start(t, role{URL: url + "?sync=off"})
	second.await()
	h.mu.Unlock()
	publish(errOther)
	second.kill()
	publish(nil)
}

// TestListen: an embedded server with a port asks its clients for user and password, which the URL has, too; those of
// this process and of others that open the folder say it.
func TestListen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.ToSlash(dir) + "?listen=127.0.0.1:0"
	b := mqtest.Broker(t, "nats+embedded://us%40er:pass%2Fword@"+folder)
	if err := b.Publish(within(t), "q", nil); err != nil {
		t.Fatal(err)
	}
	newAccount().start(t, role{URL: "nats+embedded://us%40er:pass%2Fword@" + folder}).await()
	homes.Lock()
	addr := homes.of[filepath.Clean(dir)].node.Addr().String()
	homes.Unlock()
	if err := mqtest.Broker(t, "nats://us%40er:pass%2Fword@"+addr).Publish(within(t), "q", nil); err != nil {
		t.Error(err)
	}
	refused(t, "nats://us%40er:secret@"+addr, "refuses user or password")
	child := newAccount()
	<-child.start(t, role{URL: "nats+embedded://us%40er:secret@" + folder}).ended
	child.mu.Lock()
	defer child.mu.Unlock()
	if text := strings.Join(child.faults, " "); !strings.Contains(text, "refuses user or password") ||
		strings.Contains(text, "secret") {
		t.Errorf("another process with another password: %q", text)
	}
}
