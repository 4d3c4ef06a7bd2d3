package mq

import (
	"fmt"
	"io"
	"strings"
)

// WriteTo writes the counts as Prometheus reads them (its text format, version 0.0.4), for a handler of /metrics:
//
//	plexor_mq_published_total, plexor_mq_duplicates_total        jobs
//	plexor_mq_publish_errors_total{reason="refused|failed"}
//	plexor_mq_tries_total, plexor_mq_tries_in_flight
//	plexor_mq_settled_total{as="done|retried|returned|buried|expired|lost"}
//	plexor_mq_panics_total, plexor_mq_broker_errors_total
//
// They are one Broker's, as Stats has them.
func (s Stats) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	head := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP plexor_mq_%s %s\n# TYPE plexor_mq_%s %s\n", name, help, name, kind)
	}
	one := func(name, kind, help string, n int64) {
		head(name, kind, help)
		fmt.Fprintf(&b, "plexor_mq_%s %d\n", name, n)
	}
	type labelled struct {
		value string
		n     int64
	}
	some := func(name, help, label string, all ...labelled) {
		head(name, "counter", help)
		for _, l := range all {
			fmt.Fprintf(&b, "plexor_mq_%s{%s=\"%s\"} %d\n", name, label, l.value, l.n)
		}
	}
	one("published_total", "counter", "Jobs that were stored.", s.Published)
	one("duplicates_total", "counter", "Jobs that were not stored, for one with their ID was there.", s.Duplicates)
	some("publish_errors_total", "Jobs that were not stored, or of which it is not known.", "reason",
		labelled{"refused", s.Refused}, labelled{"failed", s.Failed})
	one("tries_total", "counter", "Tries that have begun.", s.Started)
	one("tries_in_flight", "gauge", "Tries under way.", s.InFlight)
	some("settled_total", "What has become of tries, and of jobs that were not tried.", "as",
		labelled{"done", s.Done}, labelled{"retried", s.Retried}, labelled{"returned", s.Returned},
		labelled{"buried", s.Buried}, labelled{"expired", s.Expired}, labelled{"lost", s.Lost})
	one("panics_total", "counter", "Panics of handlers.", s.Panics)
	one("broker_errors_total", "counter", "Errors of the broker to acknowledgements and the like.", s.Errors)
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}
