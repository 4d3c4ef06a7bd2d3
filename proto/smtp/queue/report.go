package queue

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// mostReported is how many bytes of a message a report has at most.
const mostReported = 64 << 10

// report has the sender told of recipients that are done, if it is to be, before their envelope says so.
func (q *Queue) report(e *envelope) error {
	var told, done []*recipient
	for i := range e.To {
		r := &e.To[i]
		if !r.Done || r.Reported {
			continue
		}
		done = append(done, r)
		if r.Error != nil && (r.Notify == 0 || r.Notify&smtp.NotifyFailure != 0) || r.Error == nil && r.Relayed {
			told = append(told, r)
		}
	}
	if len(told) > 0 && !e.From.IsNull() { // RFC 5321, section 6.1: no report of a report
		if err := q.tell(e, told, false); err != nil {
			return err
		}
	}
	for _, r := range done {
		r.Reported = true
	}
	return nil
}

// late is when the sender of a message is to be told that it is late; zero: not, or not again.
func (q *Queue) late(e *envelope) time.Time {
	for i := range e.To {
		if r := &e.To[i]; q.o.Delay > 0 && !e.From.IsNull() && !r.Done && !r.Delayed {
			return e.Received.Add(q.o.Delay)
		}
	}
	return time.Time{}
}

// next is when something is to be done about a message.
func (q *Queue) next(e *envelope) time.Time {
	next := e.next()
	if late := q.late(e); !late.IsZero() && late.Before(next) {
		return late
	}
	return next
}

// reportDelay has the sender told of recipients that wait still, if it is time and they may be told of.
func (q *Queue) reportDelay(e *envelope) error {
	if late := q.late(e); late.IsZero() || q.o.Now().Before(late) {
		return nil
	}
	var told, waiting []*recipient
	for i := range e.To {
		r := &e.To[i]
		if r.Done || r.Delayed {
			continue
		}
		waiting = append(waiting, r)
		if r.Notify == 0 || r.Notify&smtp.NotifyDelay != 0 { // RFC 3461, section 4.1
			told = append(told, r)
		}
	}
	if len(told) > 0 {
		if err := q.tell(e, told, true); err != nil {
			return err
		}
	}
	for _, r := range waiting {
		r.Delayed = true
	}
	return nil
}

// tell makes a report. It is delivered as soon as it is noted that it was made: settle lets it go.
func (q *Queue) tell(e *envelope, told []*recipient, late bool) error {
	to := smtp.Recipient{Mailbox: e.From, RcptOptions: smtp.RcptOptions{Notify: smtp.NotifyNever}}
	options := smtp.MailOptions{UTF8: e.Options.UTF8, RequireTLS: e.Options.RequireTLS} // RFC 8689, section 5
	text, err := q.reportText(e, told, late)
	if err != nil {
		return err
	}
	made := &envelope{Options: options, About: e.ID, Nth: e.Reports + 1}
	if err := q.keep(made, []smtp.Recipient{to}, bytes.NewReader(text)); err != nil {
		return err
	}
	e.Reports++
	e.held = append(e.held, made)
	q.o.step("report is made")
	q.mu.Lock()
	q.stats.Reports++
	q.mu.Unlock()
	q.o.Log.Info("queue: a sender is told", "id", e.ID, "by", made.ID, "sender", e.From.String(), "recipients", len(told))
	return nil
}

// dateForm is how fields have a time (RFC 5322, section 3.3).
const dateForm = "Mon, 2 Jan 2006 15:04:05 -0700"

// reportText is a delivery status notification (RFC 3461, section 6; RFC 3464). late is one of delay.
func (q *Queue) reportText(e *envelope, told []*recipient, late bool) ([]byte, error) {
	boundary := "=_" + rand.Text()
	b := new(bytes.Buffer)
	line := func(format string, args ...any) { fmt.Fprintf(b, format+"\r\n", args...) }
	subject := "Undelivered mail"
	switch {
	case late:
		subject = "Delayed mail"
	case told[0].Error == nil:
		subject = "Mail that was passed on"
	}
	now := q.o.Now().Format(dateForm)
	line("From: Mail delivery <postmaster@%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s", q.o.Name, e.From, subject, now)
	line("Message-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0", lower(rand.Text()), q.o.Name)
	line("Content-Type: multipart/report; report-type=delivery-status; boundary=\"%s\"\r\n", boundary)
	line("--%s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n", boundary)
	line("This is the mail server %s.\r\n", q.o.Name)
	for _, r := range told {
		switch {
		case late:
			line("Your mail to <%s> could not be delivered yet. You need not send it again.%s", r.Mailbox, why(r, "\r\n    "))
		case r.Error == nil:
			line("Your mail to <%s> was passed on to a server that does not report delivery.", r.Mailbox)
		default:
			line("Your mail to <%s> could not be delivered:%s", r.Mailbox, why(r, "\r\n    "))
		}
	}
	if late {
		line("It is tried until %s.", e.Received.Add(q.o.Expire).Format(dateForm))
	}
	line("\r\n--%s\r\nContent-Type: message/delivery-status\r\n", boundary)
	if e.Options.EnvelopeID != "" {
		line("Original-Envelope-Id: %s", oneLine(e.Options.EnvelopeID))
	}
	line("Reporting-MTA: dns; %s\r\nArrival-Date: %s", q.o.Name, e.Received.Format(dateForm))
	for _, r := range told {
		q.reportFields(line, e, r, late)
	}
	// RET=FULL does not count with REQUIRETLS (RFC 8689, section 5), and for failures alone (RFC 3461, section 4.3).
	full := e.Options.Return == smtp.ReturnFull && !e.Options.RequireTLS && !late
	if err := q.original(b, e.ID, boundary, full); err != nil {
		return nil, err
	}
	line("\r\n--%s--", boundary)
	return b.Bytes(), nil
}

// reportFields are those of one recipient (RFC 3464, section 2.3).
func (q *Queue) reportFields(line func(format string, args ...any), e *envelope, r *recipient, late bool) {
	line("")
	if r.Original != "" {
		line("Original-Recipient: %s; %s", r.OriginalType, oneLine(r.Original))
	}
	line("Final-Recipient: rfc822; %s", r.Mailbox)
	status, action := smtp.Enhanced{2, 0, 0}, "relayed"
	if r.Error != nil {
		status, action = r.Error.Enhanced, "failed"
		if status == (smtp.Enhanced{}) {
			status = smtp.Enhanced{5, 0, 0}
		}
		line("Diagnostic-Code: smtp;%s", why(r, " "))
	}
	if late {
		if action = "delayed"; status[0] != 4 {
			status = smtp.Enhanced{4, 0, 0}
		}
		line("Will-Retry-Until: %s", e.Received.Add(q.o.Expire).Format(dateForm))
	}
	line("Action: %s\r\nStatus: %s", action, status)
	if r.Server != "" {
		line("Remote-MTA: dns; %s", oneLine(r.Server))
	}
}

// why is what a server has said, behind before; "" if none has said anything.
func why(r *recipient, before string) string {
	if r.Error == nil {
		return ""
	}
	return before + oneLine(strings.TrimPrefix(r.Error.Error(), "smtp: "))
}

// original adds the message that the report is about, or its header.
func (q *Queue) original(b *bytes.Buffer, id, boundary string, full bool) error {
	f, err := q.spool.open(id)
	if err != nil {
		return err
	}
	defer f.Close()
	kind := "text/rfc822-headers"
	if full {
		kind = "message/rfc822"
	}
	fmt.Fprintf(b, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary, kind)
	in := bufio.NewReader(io.LimitReader(f, mostReported))
	for {
		l, err := in.ReadString('\n')
		if err == io.EOF || !full && l == "\r\n" {
			return nil
		}
		if err != nil {
			return err
		}
		b.WriteString(l)
	}
}

// oneLine is text for one line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
