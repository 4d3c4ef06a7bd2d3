package nats

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// stageOf is where a home's batches are held.
func stageOf(t *testing.T, dir string) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(dir, stageLink))
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestStageOfCopy: a folder that was copied while it was in use has a stage of its own, and leaves the other one alone.
func TestStageOfCopy(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir, copied := t.TempDir(), t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	first := stageOf(t, dir)
	if err := os.Symlink(first, filepath.Join(copied, stageLink)); err != nil {
		t.Fatal(err)
	}
	_ = mqtest.Broker(t, "nats+embedded://"+copied)
	if second := stageOf(t, copied); second == first {
		t.Error("both homes have one stage")
	}
	if _, err := os.Stat(first); err != nil {
		t.Errorf("the copy has taken away the stage of the first: %v", err)
	}
	if _, err := q.PublishBatch(within(t), messages(8)); err != nil {
		t.Fatal(err)
	}
	_, look := inside(t, dir, "q")
	sameBatch(t, look(), 8, true)
}

// TestStageSwept: what processes left behind that were killed is taken away, and what one has that lives is not.
func TestStageSwept(t *testing.T) {
	t.Parallel()
	needStage(t)
	folder := func() (folder, lock string) {
		folder, err := os.MkdirTemp(sharedMemory, stagePrefix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(folder) })
		lock = filepath.Join(folder, stageLock)
		if err := os.WriteFile(lock, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return folder, lock
	}
	lives, lock := folder()
	f, err := lockStage(lock)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dead, _ := folder()
	_ = mqtest.Broker(t, "nats+embedded://"+t.TempDir())
	if _, err := os.Stat(dead); err == nil {
		t.Error("the folder of a dead process is still there")
	}
	if _, err := os.Stat(lives); err != nil {
		t.Errorf("the folder of one that lives: %v", err)
	}
}

// TestStageStopped: a home whose server was ended, and did not start anew, leaves nothing in memory.
func TestStageStopped(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	u := &url.URL{Scheme: "nats+embedded", Path: filepath.ToSlash(dir)}
	b, err := openEmbedded(within(t), u, mq.Options{Log: mqtest.Options().Log})
	if err != nil {
		t.Fatal(err)
	}
	stage := stageOf(t, dir)
	homes.Lock()
	h := homes.of[dir]
	homes.Unlock()
	h.mu.Lock()
	h.stop()
	h.mu.Unlock()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(stage)); err == nil {
		t.Errorf("%s is still there", filepath.Dir(stage))
	}
}

// TestStageFull: a batch for which there is not enough memory is not begun, for the server would never take away what
// it has of it.
func TestStageFull(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	if _, err := b.Queue(within(t), "q", mq.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	free, err := freeMemory(sharedMemory)
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{home: dir, log: mqtest.Options().Log}
	if !s.ready(jobsPrefix+"q", mostBytes) {
		t.Errorf("%d bytes are free, and a batch has no room", free)
	}
	if s.ready(jobsPrefix+"q", int(free/timesStage)) {
		t.Errorf("a batch that needs all of %d bytes is begun", free)
	}
}
