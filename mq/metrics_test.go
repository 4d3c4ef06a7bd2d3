package mq_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

// TestMetrics: each count of Stats is written once, as Prometheus reads it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var s mq.Stats
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(1000 + i))
	}
	var b strings.Builder
	if n, err := s.WriteTo(&b); err != nil || n != int64(b.Len()) {
		t.Errorf("WriteTo: %d of %d, %v", n, b.Len(), err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) \w+ .+|plexor_mq_\w+(\{\w+="\w+"\})? 1\d\d\d)$`)
	for _, l := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if !line.MatchString(l) {
			t.Errorf("%q is no line of the format", l)
		}
	}
	for i := range v.NumField() {
		if n := strings.Count(b.String(), fmt.Sprintf(" %d\n", v.Field(i).Int())); n != 1 {
			t.Errorf("%s is written %d times", v.Type().Field(i).Name, n)
		}
	}
}

// TestMetricsTell: what happens to jobs is in the metrics.
func TestMetricsTell(t *testing.T) {
	t.Parallel()
	b := mqtest.Broker(t, "mem://")
	q := queue(t, b, mq.QueueOptions{})
	for _, body := range []string{"good", "bad"} {
		if _, err := q.Publish(t.Context(), mq.Message{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	settled := 0
	err := q.Consume(ctx, mq.Consumer{InFlight: 1, Tries: 1}, func(_ context.Context, j *mq.Job) error {
		if settled++; settled == 2 {
			cancel()
		}
		if string(j.Body) == "bad" {
			return errors.New("bad")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if _, err := b.Stats().WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plexor_mq_published_total 2", "plexor_mq_tries_total 2",
		`plexor_mq_settled_total{as="done"} 1`, `plexor_mq_settled_total{as="buried"} 1`, "plexor_mq_tries_in_flight 0"} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("%s is not in\n%s", want, text.String())
		}
	}
}
