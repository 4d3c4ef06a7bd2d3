package queue

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// deliver sends a batch by one connection.
func (q *Queue) deliver(ctx context.Context, b *batch) {
	b.items = slices.DeleteFunc(b.items, func(it *item) bool {
		none := len(q.pending(it.env, b.domain)) == 0
		if none { // what became of it could not be noted
			q.settle(it)
		}
		return none
	})
	if len(b.items) == 0 {
		return
	}
	c, host, failed := q.connect(ctx, b.domain)
	if failed != nil {
		for _, it := range b.items {
			if ctx.Err() != nil {
				q.release(it)
				continue
			}
			for _, i := range q.pending(it.env, b.domain) {
				q.tried(it.env, &it.env.To[i], failed, host)
			}
			q.settle(it)
		}
		return
	}
	defer func() { _ = c.Quit(context.WithoutCancel(ctx)) }() // nothing depends on it
	for n, it := range b.items {
		if err := q.send(ctx, c, host, b.domain, it); err != nil {
			for _, rest := range b.items[n+1:] {
				q.release(rest)
			}
			return
		}
	}
}

// release gives an item back that was not tried.
func (q *Queue) release(it *item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	it.busy = false
}

// pending are the recipients of a domain that are due.
func (q *Queue) pending(e *envelope, domain string) (all []int) {
	now := q.o.Now()
	for i := range e.To {
		if r := &e.To[i]; !r.Done && !r.Next.After(now) && q.route(r.Mailbox) == domain {
			all = append(all, i)
		}
	}
	return all
}

// send sends one message. An error is that the connection is of no more use.
func (q *Queue) send(ctx context.Context, c *smtp.Client, host, domain string, it *item) error {
	to := q.pending(it.env, domain)
	f, err := q.spool.open(it.env.ID)
	if err != nil {
		q.o.Log.Error("queue: a message can't be read", "id", it.env.ID, "err", err)
		q.failAll(it, to, &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 3, 0}, Text: "the message can't be read"}, host)
		return nil
	}
	defer f.Close()
	m := &smtp.Message{From: it.env.From, MailOptions: it.env.Options, Data: f}
	if fields := it.env.Fields; len(fields) > 0 {
		// The client looks into a message before it sends it, and so wants one that can be read twice.
		m.Data = io.NewSectionReader(fieldsAndFile{fields, f}, 0, math.MaxInt64)
	}
	for _, i := range to {
		m.To = append(m.To, it.env.To[i].Recipient)
	}
	q.o.step("message is sent")
	receipt, err := c.Send(ctx, m)
	q.o.step("message is answered")
	if errors.Is(err, smtp.ErrNoRoom) || err != nil && ctx.Err() != nil {
		q.release(it)
		return err
	}
	for n, i := range to {
		r := &it.env.To[i]
		failed := reason(receipt.Errors[n])
		if failed == nil {
			r.Relayed = receipt.NoReports && r.Notify&smtp.NotifySuccess != 0
		}
		q.tried(it.env, r, failed, host)
	}
	q.settle(it)
	if e := new(smtp.Error); err != nil && (!errors.As(err, &e) || e.Code == 421) {
		return err
	}
	return nil
}

// A fieldsAndFile is a message with fields in front.
type fieldsAndFile struct {
	fields []byte
	f      *os.File
}

// ReadAt is of io.ReaderAt.
func (m fieldsAndFile) ReadAt(p []byte, at int64) (n int, err error) {
	if at < int64(len(m.fields)) {
		if n = copy(p, m.fields[at:]); n == len(p) {
			return n, nil
		}
	}
	k, err := m.f.ReadAt(p[n:], at+int64(n)-int64(len(m.fields)))
	return n + k, err
}

// failAll is a try that failed for all recipients.
func (q *Queue) failAll(it *item, to []int, failed *smtp.Error, host string) {
	for _, i := range to {
		q.tried(it.env, &it.env.To[i], failed, host)
	}
	q.settle(it)
}

// reason is why a recipient did not get a message; nil: it did. What is not the server's word is worth another try, but
// for what no try would change.
func reason(err error) *smtp.Error {
	switch e := new(smtp.Error); {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, smtp.ErrNotOffered):
		return &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 6, 3}, Text: err.Error()}
	case errors.Is(err, smtp.ErrAddress):
		return &smtp.Error{Code: 553, Enhanced: smtp.Enhanced{5, 1, 3}, Text: err.Error()}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 4, 2}, Text: "the server hung up"}
	}
	return &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 4, 2}, Text: err.Error()}
}

// tried notes a try.
func (q *Queue) tried(e *envelope, r *recipient, failed *smtp.Error, host string) {
	now := q.o.Now()
	r.Tries++
	r.Error, r.Server = failed, host
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case failed == nil:
		r.Done = true
		q.stats.Delivered++
		return
	case failed.Temporary() && now.Before(e.Received.Add(q.o.Expire)):
		q.stats.Deferred++
		r.Next = now.Add(max(q.o.Retry(r.Tries), time.Second))
		return
	}
	r.Done = true
	q.stats.Failed++
}
