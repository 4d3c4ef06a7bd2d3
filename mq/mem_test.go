package mq_test

import (
	"testing"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func TestMemSuite(t *testing.T) {
	first, err := mqtest.Options().Open(t.Context(), "mem://suite") // has the jobs as long as it is open
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	mqtest.Run(t, func(t *testing.T) *mq.Broker {
		b, err := mqtest.Options().Open(t.Context(), "mem://suite")
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
