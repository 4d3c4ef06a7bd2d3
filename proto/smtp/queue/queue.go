// Package queue is a small delivery agent: mail that was taken is kept on the disk, sent on by package smtp's client,
// tried again, and reported to its sender when that fails for too long.
//
//	q, err := queue.Open("/var/spool/plexor", queue.Options{Name: "mx.example.org"})
//	go q.Run(ctx)
//	srv := &smtp.Server{Backend: q.Backend(mayRelay), Name: "mx.example.org"}
//
// What it promises: a message whose Submit has returned is on stable storage, and is delivered at least once to each
// recipient, or reported to its sender, whenever the process or the machine ends. A message may come twice where it was
// ended between the other server's answer and the note of it.
//
// What it is not: no filter of spam or viruses, no mailboxes, no IMAP, no aliases or lists, no DANE and no MTA-STS.
// DKIM signatures are made by smtpd/dkim, through Options.Sign. Reports are of failure, of delay, and of mail that was
// relayed to a server that does not report success itself.
package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// Options are the choices of a [Queue]. The zero value of each field means its default.
type Options struct {
	// Name is what the queue calls itself, to servers and in reports: a domain (default "localhost").
	Name string
	// Smarthost, if set, is the address (host:port) of the server that gets all mail, in place of those of the
	// recipients' domains.
	Smarthost string
	// Port is that of the servers of domains (default "25").
	Port string
	// Security and TLS are for connections (default smtp.MayStartTLS for domains, smtp.NeedStartTLS for a smarthost).
	// Auth logs in, at a smarthost. A message with MailOptions.RequireTLS needs a TLS whose certificates are verified:
	// without one of yours those of domains are not, and it is reported as undelivered.
	Security smtp.Security
	TLS      *tls.Config
	Auth     smtp.Credential
	// Resolver finds the servers of a domain (default: the system's).
	Resolver Resolver
	// Dial connects (default: a net.Dialer's DialContext).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Deliveries is how many connections there are at once (default 8), and Batch how many messages one of them gets
	// (default 100). PerDomain is how many of the connections may be to one domain (default: half of them, and one at
	// least): a domain whose servers are slow, or silent on purpose, does not hold up the others. A smarthost has all.
	Deliveries, Batch, PerDomain int
	// Most is how many messages the queue holds (default 100,000): Submit fails beyond. They are listed in memory.
	Most int
	// Retry is how long after the nth try the next one is (default: 5 minutes, and twice that each time, up to 4 hours;
	// RFC 5321, section 4.5.4.1).
	Retry func(n int) time.Duration
	// Expire is how long a message is tried (default 5 days).
	Expire time.Duration

	// Delay is how long after a message was taken its sender is told, once, which recipients it could not be delivered
	// to yet (default 4 hours; negative: never). Recipients with RcptOptions.Notify have it so with smtp.NotifyDelay
	// alone (RFC 3461, section 4.1).
	Delay time.Duration
	// Sign, if set, makes fields to be put in front of a message that is submitted, a DKIM-Signature, say, and reads it
	// to its end; reports are messages, too. An error refuses the message: an *smtp.Error is what the client of Backend
	// is told.
	Sign func(message io.Reader) (fields []byte, err error)

	// Client is for the limits of connections; Name is that above.
	Client smtp.ClientOptions
	// Log gets what fails (default slog.Default()).
	Log *slog.Logger
	// Now is the clock (default time.Now).
	Now func() time.Time

	step func(name string) // of tests: it may end the process
}

// The defaults of Options, and of reports.
const (
	defaultDeliveries = 8
	defaultBatch      = 100
	defaultMost       = 100_000
	firstRetry        = 5 * time.Minute
	lastRetry         = 4 * time.Hour
	defaultExpire     = 5 * 24 * time.Hour
	defaultDelay      = 4 * time.Hour
)

func retry(n int) time.Duration {
	d := firstRetry
	for range n - 1 {
		if d *= 2; d >= lastRetry {
			return lastRetry
		}
	}
	return d
}

func (o *Options) fill() {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&o.Deliveries, defaultDeliveries)
	def(&o.Batch, defaultBatch)
	def(&o.PerDomain, max(o.Deliveries/2, 1))
	def(&o.Most, defaultMost)
	if o.Name == "" {
		o.Name = "localhost"
	}
	if o.Port == "" {
		o.Port = "25"
	}
	if o.Security == smtp.NeedStartTLS && o.Smarthost == "" {
		o.Security = smtp.MayStartTLS
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Retry == nil {
		o.Retry = retry
	}
	if o.Expire <= 0 {
		o.Expire = defaultExpire
	}
	if o.Delay == 0 {
		o.Delay = defaultDelay
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.step == nil {
		o.step = func(string) {}
	}
	o.Client.Name = o.Name
}

// Errors of Submit.
var (
	// ErrFull is a queue that holds Options.Most messages.
	ErrFull = &smtp.Error{Code: 452, Enhanced: smtp.Enhanced{4, 3, 1}, Text: "the queue is full; try again later"}
	// ErrClosed is a queue after its Close.
	ErrClosed = errors.New("queue: it is closed")
)

// A Queue keeps messages and sends them. Its methods are for any number of goroutines at once.
type Queue struct {
	o     Options
	spool *spool

	mu    sync.Mutex
	items map[string]*item
	under map[string]int // deliveries under way, by domain
	wake  chan struct{}  // holds one if there may be something to do
	stats Stats
}

// Stats count what a Queue has done since it was opened.
type Stats struct {
	Queued    int    // messages that it holds now
	Delivered uint64 // recipients whose server has taken the message
	Deferred  uint64 // tries of recipients that are to be tried again
	Failed    uint64 // recipients that were given up
	Reports   uint64 // that were made
}

// An item is a message in memory: what of it decides when something is to be done.
type item struct {
	env  *envelope
	busy bool
	next time.Time
}

// Open opens a queue in a folder, which is made if there is none, and belongs to one Queue at a time. Messages that are
// there are tried when Run is called. What an end in the midst of Submit has left behind is removed.
func Open(dir string, o Options) (*Queue, error) {
	o.fill()
	s, envelopes, err := openSpool(dir, o.step)
	if err != nil {
		return nil, err
	}
	q := &Queue{o: o, spool: s, items: make(map[string]*item), under: make(map[string]int),
		wake: make(chan struct{}, 1)}
	for _, e := range envelopes {
		q.items[e.ID] = &item{env: e, next: q.next(e)}
	}
	return q, nil
}

// Close closes the folder. Call it when Run has returned.
func (q *Queue) Close() error { return q.spool.close() }

// Stats are the counts so far.
func (q *Queue) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Queued = len(q.items)
	return s
}

// An Envelope is who a message is from and for. Its ID is not needed.
type Envelope struct {
	From    smtp.Mailbox
	To      []smtp.Recipient
	Options smtp.MailOptions
}

// Submit takes a message: when it returns an id, the message is on stable storage, and the queue's to deliver. On an
// error it is not there. r is read to its end; its lines end in CR LF.
func (q *Queue) Submit(e Envelope, r io.Reader) (id string, err error) {
	env := &envelope{From: e.From, Options: e.Options}
	if err := q.keep(env, e.To, r); err != nil {
		return "", err
	}
	q.mu.Lock()
	q.items[env.ID] = &item{env: env, next: env.Received}
	q.mu.Unlock()
	q.nudge()
	return env.ID, nil
}

// keep puts a message on the disk, if there is room in the queue. It is not delivered before it is one of q.items.
func (q *Queue) keep(env *envelope, all []smtp.Recipient, r io.Reader) error {
	q.mu.Lock()
	full := len(q.items) >= q.o.Most
	q.mu.Unlock()
	if full {
		return ErrFull
	}
	env.Received = q.o.Now()
	for _, to := range all {
		env.To = append(env.To, recipient{Recipient: to, Next: env.Received})
	}
	return q.spool.add(env, r, q.o.Sign)
}

// nudge has Run look.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Run delivers until ctx is done, and returns when the deliveries under way have ended.
func (q *Queue) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	places := make(chan struct{}, q.o.Deliveries)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case places <- struct{}{}:
		}
		b, wait := q.take()
		if b != nil {
			wg.Go(func() {
				q.deliver(ctx, b)
				q.leave(b.domain)
				<-places
				q.nudge()
			})
			continue
		}
		<-places
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-q.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// mostWait is when Run looks at the latest.
const mostWait = time.Hour

// A batch are messages for recipients of one domain, which one connection gets.
type batch struct {
	domain string // in lower case; "" with a smarthost
	items  []*item
}

// take finds what is due: the item that is due first, and others for the same domain, and counts the delivery until
// leave. If there is none, wait is how long there is nothing to do.
func (q *Queue) take() (b *batch, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.o.Now()
	var first *item
	domain := ""
	wait = mostWait
	for _, it := range q.items {
		switch {
		case it.busy:
		case it.next.After(now):
			wait = min(wait, it.next.Sub(now))
		case first == nil || it.next.Before(first.next):
			if d, ok := q.domainOf(it.env, now); ok {
				first, domain = it, d
			}
		}
	}
	if first == nil {
		return nil, wait
	}
	b = &batch{domain: domain}
	q.under[domain]++
	for _, it := range q.items {
		if !it.busy && len(b.items) < q.o.Batch && (it == first || q.due(it.env, b.domain, now)) {
			it.busy = true
			b.items = append(b.items, it)
		}
	}
	return b, 0
}

// leave is the end of a delivery.
func (q *Queue) leave(domain string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.under[domain]--; q.under[domain] == 0 {
		delete(q.under, domain)
	}
}

// route is the domain that decides which server a recipient's mail goes to.
func (q *Queue) route(m smtp.Mailbox) string {
	if q.o.Smarthost != "" {
		return ""
	}
	return lower(m.Domain)
}

// domainOf is that of the recipient who is due first, of those whose domain may have another connection. ok is false if
// all who are due have to wait for one.
func (q *Queue) domainOf(e *envelope, now time.Time) (domain string, ok bool) {
	var first *recipient
	ok = true
	for i := range e.To {
		r := &e.To[i]
		if r.Done || r.Next.After(now) {
			continue
		}
		if d := q.route(r.Mailbox); q.o.Smarthost == "" && q.under[d] >= q.o.PerDomain {
			ok = first != nil
		} else if first == nil || r.Next.Before(first.Next) {
			first, domain, ok = r, d, true
		}
	}
	return domain, ok
}

// due reports whether a recipient of the domain is.
func (q *Queue) due(e *envelope, domain string, now time.Time) bool {
	for i := range e.To {
		if r := &e.To[i]; !r.Done && !r.Next.After(now) && q.route(r.Mailbox) == domain {
			return true
		}
	}
	return false
}

// settle notes what became of an item, on the disk first. Its reports are there before, and go out after that.
func (q *Queue) settle(it *item) {
	err := q.report(it.env)
	if err == nil {
		err = q.reportDelay(it.env)
	}
	if err == nil {
		if it.env.over() {
			err = q.spool.remove(it.env.ID)
		} else {
			err = q.spool.update(it.env)
		}
	}
	if err != nil { // it is tried again; behind a restart some may get it twice
		q.o.Log.Error("queue: the spool can't be written", "id", it.env.ID, "err", err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	it.busy = false
	it.next = q.next(it.env)
	if err != nil {
		it.next = q.o.Now().Add(firstRetry)
		return
	}
	for _, e := range it.env.held {
		q.items[e.ID] = &item{env: e, next: e.Received}
		q.nudge()
	}
	it.env.held = nil
	if it.env.over() {
		delete(q.items, it.env.ID)
	}
}
