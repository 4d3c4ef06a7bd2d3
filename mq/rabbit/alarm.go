package rabbit

import (
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/plexor-go/plexor/mq"
)

// A broker that is low on disk or on memory (disk_free_limit, vm_memory_high_watermark) reads nothing more from a
// connection that has published since, until there is room: neither messages nor declarations. It says so, once, with
// the first message, which it takes. Connections that don't publish go on: consumers have their own, and so has what is
// declared and counted (backend.control).

// errAlarm is such a broker, in an error that is mq.ErrFull too.
var errAlarm = errors.New("it reads no jobs until there is room")

// An alarm is what the broker has said of a connection.
type alarm struct {
	reason atomic.Pointer[string] // why it reads nothing: "low on disk"; nil: it reads
}

// watch notes it, until the connection ends.
func watch(c *amqp.Connection) *alarm {
	a := new(alarm)
	said := c.NotifyBlocked(make(chan amqp.Blocking, 1))
	go func() {
		for b := range said {
			if b.Active {
				a.reason.Store(&b.Reason)
			} else {
				a.reason.Store(nil)
			}
		}
	}()
	return a
}

// err is for what is not sent, since it would lie in the connection.
func (a *alarm) err() error {
	why := a.reason.Load()
	if why == nil {
		return nil
	}
	return fmt.Errorf("%w: the broker is %s: %w", mq.ErrFull, *why, errAlarm)
}
