package mq

import "sync/atomic"

// counts are a Broker's Stats, as they grow.
type counts struct {
	published, duplicates, refused, failed                          atomic.Int64
	started, done, retried, returned, buried, expired, lost, panics atomic.Int64
	errors, inFlight                                                atomic.Int64
}

// Stats are the counts since Open.
func (b *Broker) Stats() Stats {
	c := &b.counts
	return Stats{
		Published: c.published.Load(), Duplicates: c.duplicates.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(),
		Started: c.started.Load(), Done: c.done.Load(), Retried: c.retried.Load(), Returned: c.returned.Load(),
		Buried: c.buried.Load(), Expired: c.expired.Load(), Lost: c.lost.Load(), Panics: c.panics.Load(),
		Errors: c.errors.Load(), InFlight: c.inFlight.Load(),
	}
}
