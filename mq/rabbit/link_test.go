package rabbit

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// TestSettleKeepsErrors: a job that could not be sent keeps its error when the call waits for those before it, in the
// midst of a batch that finds no place. It was told to be stored.
func TestSettleKeepsErrors(t *testing.T) {
	notSent := errors.New("not sent")
	s := &shipment{ps: make([]parcel, 2), waits: make([]*amqp.DeferredConfirmation, 2), errs: []error{notSent, notSent}}
	p := new(publisher)
	p.settle(s, 1)
	p.settle(s, 2)
	if s.settled != 2 || !errors.Is(s.errs[0], notSent) || !errors.Is(s.errs[1], notSent) {
		t.Errorf("%d settled, with %v", s.settled, s.errs)
	}
}

// BrowseEnds: who looks through a queue goes when its context ends, while what it had begun goes on: with the
// detector of races, that sets nothing of the caller's.
func BrowseEnds(t *testing.T, at string) {
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	o, err := open(t.Context(), u, mq.Options{Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	b := o.(*backend)
	if _, err := b.OpenQueue(t.Context(), "q", mq.QueueOptions{}); err != nil { // an entry of the register
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen, goOn := make(chan struct{}), make(chan struct{})
	go func() {
		<-seen
		cancel()
	}()
	err = b.browse(ctx, b.prefix+".r", func(amqp.Delivery) (verdict, error) {
		close(seen)
		<-goOn
		return keep, nil
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(goOn)
	if err := b.Close(); err != nil { // waits for it
		t.Error(err)
	}
}
