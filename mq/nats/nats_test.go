package nats

import (
	"testing"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func TestEmbeddedSuite(t *testing.T) {
	url := "nats+embedded://" + t.TempDir()
	first, err := mqtest.Options().Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	mqtest.Run(t, func(t *testing.T) *mq.Broker {
		b, err := mqtest.Options().Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
