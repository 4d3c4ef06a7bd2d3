package rabbit

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// TestVersion: a broker of another kind, or too old, is refused with what is needed.
func TestVersion(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		product, version string
		ok               bool
	}{
		{"RabbitMQ", "3.10.8", true}, {"RabbitMQ", "4.0", true}, {"RabbitMQ", "3.9.29", false},
		{"RabbitMQ", "2.11", false}, {"RabbitMQ", "", false}, {"Qpid", "9.2.0", false},
	} {
		err := checkVersion(amqp.Table{"product": row.product, "version": row.version})
		if (err == nil) != row.ok || err != nil && !strings.Contains(err.Error(), "RabbitMQ 3.10 or later is needed") {
			t.Errorf("%s %s: %v", row.product, row.version, err)
		}
	}
}
