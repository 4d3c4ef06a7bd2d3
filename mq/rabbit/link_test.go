package rabbit

import (
	"errors"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
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
