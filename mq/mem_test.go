package mq_test

import (
	"testing"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/mq/mqtest"
)

func TestMemSuite(t *testing.T) {
	_ = mqtest.Broker(t, "mem://suite") // has the jobs as long as it is open
	mqtest.Run(t, func(t *testing.T) *mq.Broker { return mqtest.Broker(t, "mem://suite") })
}
