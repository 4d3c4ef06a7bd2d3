package nats

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// A storedJob is a job as the server has it.
type storedJob struct{ body, batch string }

// inside looks at a queue's stream past package mq.
func inside(t *testing.T, dir, queue string) (jetstream.JetStream, func() []storedJob) {
	t.Helper()
	homes.Lock()
	nc, err := natsgo.Connect("nats://embedded:4222", natsgo.SetCustomDialer(homes.of[dir]))
	homes.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, func() (all []storedJob) {
		s, err := js.Stream(within(t), jobsPrefix+queue)
		if err != nil {
			t.Fatal(err)
		}
		for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
			m, err := s.GetMsg(within(t), seq)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, storedJob{string(m.Data), m.Header.Get(batchIDHeader)})
		}
		return all
	}
}

func needStage(t *testing.T) {
	t.Helper()
	if _, err := memory(); err != nil {
		t.Skip(err)
	}
}

func messages(n int) (ms []mq.Message) {
	for i := range n {
		ms = append(ms, mq.Message{ID: fmt.Sprint("id", i), Body: fmt.Append(nil, i)})
	}
	return ms
}

// sameBatch holds that stored jobs are 0, 1, … in their order, of one batch, or each by itself.
func sameBatch(t *testing.T, got []storedJob, n int, one bool) {
	t.Helper()
	if len(got) != n {
		t.Fatalf("%d are stored, want %d", len(got), n)
	}
	for i, j := range got {
		if j.body != fmt.Sprint(i) || j.batch != got[0].batch || (j.batch != "") != one {
			t.Errorf("at %d there is %s of batch %q; the first is of %q; one batch: %v", i, j.body, j.batch, got[0].batch, one)
		}
	}
}

// TestBatch: what is published at once is one batch, with its order and no header of NATS for the handler.
func TestBatch(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	q, err := b.Queue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rs, err := q.PublishBatch(within(t), messages(16))
	if err != nil || len(rs) != 16 {
		t.Fatalf("%v, %v", rs, err)
	}
	_, look := inside(t, dir, "q")
	sameBatch(t, look(), 16, true)
	ctx, cancel := context.WithCancel(within(t))
	got := 0
	err = q.Consume(ctx, mq.Consumer{InFlight: 1}, func(_ context.Context, j *mq.Job) error {
		if string(j.Body) != fmt.Sprint(got) || j.ID != fmt.Sprint("id", got) || len(j.Header) != 0 {
			t.Errorf("job %d is %s, %q, with headers %v", got, j.ID, j.Body, j.Header)
		}
		if got++; got == 16 {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestBatchRefused: of a batch with messages that can't be stored, the others are, and each has its own answer.
func TestBatchRefused(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	q, err := b.Queue(within(t), "q", mq.QueueOptions{Dedupe: time.Minute, MaxJobs: 9})
	if err != nil {
		t.Fatal(err)
	}
	ms := messages(8)
	ms[5].ID = ms[2].ID
	rs, err := q.PublishBatch(within(t), ms)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rs {
		if r.Duplicate != (i == 5) {
			t.Errorf("message %d: %+v", i, r)
		}
	}
	rs, err = q.PublishBatch(within(t), messages(12)) // 5 and 8 have room, 9 and on have none
	if !errors.Is(err, mq.ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	for i, r := range rs {
		if want := i >= 9; errors.Is(r.Err, mq.ErrFull) != want || want && mq.StoredBy(r.Err) != mq.NotStored {
			t.Errorf("message %d: %+v", i, r)
		}
	}
	s, err := q.Stats(within(t))
	if err != nil || s.Jobs != 9 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestBatchOldQueue: a queue that was made when there were no batches has them from the next time it is opened.
func TestBatchOldQueue(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	q, err := b.Queue(within(t), "q", mq.QueueOptions{MaxJobs: 1000})
	if err != nil {
		t.Fatal(err)
	}
	js, look := inside(t, dir, "q")
	s, err := js.Stream(within(t), jobsPrefix+"q")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.AllowAtomicPublish = false
	if _, err := js.UpdateStream(within(t), c); err != nil {
		t.Fatal(err)
	}
	if _, err := q.PublishBatch(within(t), messages(8)); err != nil {
		t.Fatal(err)
	}
	sameBatch(t, look(), 8, false)
	if err := s.Purge(within(t)); err != nil {
		t.Fatal(err)
	}
	if q, err = mqtest.Broker(t, "nats+embedded://"+dir).Queue(within(t), "q", mq.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := q.PublishBatch(within(t), messages(8)); err != nil {
		t.Fatal(err)
	}
	sameBatch(t, look(), 8, true)
}

// TestBatchNoStage: without the memory for batches, or with a folder of the server's in its place, jobs are stored.
func TestBatchNoStage(t *testing.T) {
	t.Parallel()
	needStage(t)
	dir := t.TempDir()
	b := mqtest.Broker(t, "nats+embedded://"+dir)
	stage, err := os.Readlink(filepath.Join(dir, stageLink))
	if err != nil {
		t.Fatal(err)
	}
	publish := func(queue string, one bool) {
		t.Helper()
		q, err := b.Queue(within(t), queue, mq.QueueOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.PublishBatch(within(t), messages(8)); err != nil {
			t.Fatal(err)
		}
		_, look := inside(t, dir, queue)
		sameBatch(t, look(), 8, one)
	}
	if _, err := b.Queue(within(t), "folder", mq.QueueOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(streamFolder(dir, jobsPrefix+"folder"), batchesLink), 0o700); err != nil {
		t.Fatal(err)
	}
	publish("folder", true)
	if err := os.Remove(stage); err != nil {
		t.Fatal(err) // a batch has left something
	}
	publish("none", false)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{stage, filepath.Join(dir, stageLink)} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// TestBatchPublishers: many publishers at once, of whom some give up: each is told what is true.
func TestBatchPublishers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := &url.URL{Scheme: "nats+embedded", Path: filepath.ToSlash(dir)}
	b, err := openEmbedded(within(t), u, mq.Options{Log: mqtest.Options().Log})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	bq, err := b.OpenQueue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	q := bq.(*queue)
	var mu sync.Mutex
	var stored, not []string
	var all sync.WaitGroup
	for p := range 32 {
		all.Go(func() {
			for i := range 20 {
				ctx, cancel := context.WithCancel(within(t))
				if p%4 == 0 {
					go cancel() // before, in the midst, or after
				}
				body := fmt.Sprintf("%d-%d", p, i)
				var r [1]mq.Receipt
				q.Publish(ctx, []*mq.Message{{ID: body, Body: []byte(body)}}, r[:])
				err := r[0].Err
				cancel()
				mu.Lock()
				switch {
				case err == nil:
					stored = append(stored, body)
				case mq.StoredBy(err) == mq.NotStored:
					not = append(not, body)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	_, look := inside(t, dir, "q")
	has := make(map[string]int)
	batches := make(map[string]int)
	for _, j := range look() {
		has[j.body]++
		batches[j.batch]++
	}
	for _, body := range stored {
		if has[body] != 1 {
			t.Errorf("%s was published, and is stored %d times", body, has[body])
		}
	}
	if i := slices.IndexFunc(not, func(body string) bool { return has[body] > 0 }); i >= 0 {
		t.Errorf("%s is stored, and its publisher was told that it is not", not[i])
	}
	if len(stored) < 24*20 {
		t.Errorf("%d were stored", len(stored))
	}
	alone := batches[""]
	delete(batches, "")
	t.Logf("%d stored, %d not, in %d batches; %d alone", len(stored), len(not), len(batches), alone)
	if _, err := memory(); err == nil && len(batches) == 0 {
		t.Error("there is a stage for batches, and 32 publishers at once had none")
	}
	if g := q.gather; g != nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.single != 0 || g.count != 0 || len(g.waiting) != 0 {
			t.Errorf("left over: %d alone, %d wait, %d requests", g.single, g.count, len(g.waiting))
		}
	}
}

// TestBatchOver: a Publish whose context has ended returns at once, whether its job was to be sent by itself or in a
// batch.
func TestBatchOver(t *testing.T) {
	t.Parallel()
	u := &url.URL{Scheme: "nats+embedded", Path: filepath.ToSlash(t.TempDir())}
	b, err := openEmbedded(within(t), u, mq.Options{Log: mqtest.Options().Log})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	q, err := b.OpenQueue(within(t), "q", mq.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for i := range 100 {
			ms := make([]*mq.Message, max(1, i%8*(i/50)))
			for k := range ms {
				ms[k] = &mq.Message{ID: fmt.Sprint(i, "-", k)}
			}
			rs := make([]mq.Receipt, len(ms))
			q.Publish(ctx, ms, rs)
			for _, r := range rs { // an answer may have been quicker
				if r.Err != nil && !errors.Is(r.Err, context.Canceled) {
					t.Errorf("publish %d: %v", i, r.Err)
				}
			}
		}
	}()
	select {
	case <-returned:
	case <-time.After(patience / 4):
		t.Error("a Publish does not return")
	}
}
