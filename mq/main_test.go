package mq_test

import (
	"os"
	"testing"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/proc"
)

func TestMain(m *testing.M) {
	proc.Main() // a worker goes no further
	os.Exit(leak.Main(m))
}
