// Package dkim signs mail (DKIM: RFC 6376, RFC 8301 and RFC 8463), by github.com/emersion/go-msgauth. It stands alone,
// so that who does not import it does not build that.
//
//	key, err := dkim.LoadKey("example.org", "2026a", "/etc/mail/2026a.pem")
//	signer, err := dkim.New(dkim.Options{}, key)
//	q, err := queue.Open(dir, queue.Options{Sign: signer.Sign})
//
// What a receiver needs is a TXT record in the domain's zone, which Key.Record tells. A message is signed by the keys
// of its author's domain, the one of its field From, so that the signature counts for DMARC, too. It has to go on as
// it is then: package smtp's client changes no byte of it, and refuses a server that could not take it so.
package dkim

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/plexor-go/plexor/proto/smtp"
)

// Options are the choices of a [Signer]. The zero value of each field means its default.
type Options struct {
	// Fields are the names of those that are signed, where they are there, each of them (default [DefaultFields]). From
	// is always one.
	Fields []string
	// Once are the names of fields that nobody may add one to, without the signature being broken: they are signed once
	// more than they are there. From is always one, since programs differ in which of two they show.
	Once []string
	// Lifetime is how long a signature is good for (default: it has no end). It must be longer than a queue tries.
	Lifetime time.Duration
	// Header is how many bytes of a message its header may have (default 256 KiB), since it is held in memory. One that
	// is longer is refused.
	Header int
}

// DefaultFields are those that RFC 6376, section 5.4.1, recommends, but for the ones that mail is resent with.
var DefaultFields = []string{"From", "Sender", "Reply-To", "Subject", "Date", "Message-ID", "To", "Cc", "MIME-Version",
	"Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Description", "In-Reply-To", "References",
	"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Subscribe", "List-Post", "List-Owner",
	"List-Archive"}

// defaultHeader is longer than what servers take in practice.
const defaultHeader = 256 << 10

// The refusals of Sign, each an answer to who submits the message.
var (
	// ErrHeader is a header that is longer than Options.Header.
	ErrHeader = &smtp.Error{Code: 552, Enhanced: smtp.Enhanced{5, 3, 4},
		Text: "the message's header is too long to be signed"}
	// ErrFrom is a message without a field From, with more than one, or with one that has no address: nobody could tell
	// whose signature it needs.
	ErrFrom = &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 6, 0},
		Text: "the message needs one field From, with an address"}
	// ErrLines is a header with something that is no field.
	ErrLines = &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 6, 0},
		Text: "the message's header has a line that is no field"}
)

// A Signer signs messages. It is for any number of goroutines at once.
type Signer struct {
	o    Options
	keys map[string][]Key // by domain, in lower case
	once map[string]bool  // by name, in lower case

	signed, unsigned, refused atomic.Uint64
}

// New makes a signer of keys. Several of one domain, of an RSA and an Ed25519 key, say, sign each message of it each.
func New(o Options, keys ...Key) (*Signer, error) {
	s := &Signer{o: o, keys: make(map[string][]Key), once: map[string]bool{"from": true}}
	if len(keys) == 0 {
		return nil, errors.New("dkim: no key: give one, by LoadKey")
	}
	for _, k := range keys {
		if err := k.check(); err != nil {
			return nil, err
		}
		k.Domain = strings.ToLower(k.Domain)
		for _, other := range s.keys[k.Domain] {
			if strings.EqualFold(other.Selector, k.Selector) {
				return nil, fmt.Errorf("dkim: two keys of %s have the selector %q: give each one of its own, since a "+
					"record in DNS has one key", k.Domain, k.Selector)
			}
		}
		s.keys[k.Domain] = append(s.keys[k.Domain], k)
	}
	if s.o.Fields == nil {
		s.o.Fields = DefaultFields
	}
	s.o.Fields = append([]string{"From"}, s.o.Fields...)
	for _, name := range append(s.o.Once, s.o.Fields...) {
		bad := func(c rune) bool { return c <= ' ' || c > '~' || c == ':' || c == ';' }
		if name == "" || strings.ContainsFunc(name, bad) {
			return nil, fmt.Errorf("dkim: %q is no name of a field: write it as Subject", name)
		}
	}
	for _, name := range s.o.Once {
		s.once[strings.ToLower(name)] = true
		s.o.Fields = append(s.o.Fields, name)
	}
	if s.o.Header <= 0 {
		s.o.Header = defaultHeader
	}
	return s, nil
}

// Counts are totals of a Signer.
type Counts struct {
	Signed   uint64 // messages
	Unsigned uint64 // messages of authors for whose domain there is no key
	Refused  uint64 // errors
}

// Counts returns the totals so far.
func (s *Signer) Counts() Counts {
	return Counts{s.signed.Load(), s.unsigned.Load(), s.refused.Load()}
}

// Sign reads a message, whose lines end in CR LF, and returns the fields to put in front of it: a DKIM-Signature for
// each key of its author's domain, or of the next domain above that has one, and none if there is no key. It is what
// queue.Options.Sign wants. An *smtp.Error refuses the message.
func (s *Signer) Sign(message io.Reader) (fields []byte, err error) {
	fields, err = s.sign(message)
	switch {
	case err != nil:
		s.refused.Add(1)
	case len(fields) == 0:
		s.unsigned.Add(1)
	default:
		s.signed.Add(1)
	}
	return fields, err
}

func (s *Signer) sign(message io.Reader) ([]byte, error) {
	in := bufio.NewReader(message)
	header, count, from, err := s.readHeader(in)
	if err != nil {
		return nil, err
	}
	if count["from"] != 1 {
		return nil, ErrFrom
	}
	keys, err := s.keysFor(from)
	if len(keys) == 0 || err != nil {
		return nil, err
	}
	var names []string
	seen := make(map[string]bool)
	for _, name := range s.o.Fields {
		lower := strings.ToLower(name)
		if seen[lower] {
			continue
		}
		seen[lower] = true
		n := count[lower]
		if s.once[lower] {
			n++
		}
		for range n {
			names = append(names, name)
		}
	}
	o := dkim.SignOptions{HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: names}
	if s.o.Lifetime > 0 {
		o.Expiration = time.Now().Add(s.o.Lifetime)
	}
	return signAll(keys, o, io.MultiReader(bytes.NewReader(header), in))
}

// signAll has each key sign a message, which is read once.
func signAll(keys []Key, o dkim.SignOptions, message io.Reader) (fields []byte, err error) {
	var signers []*dkim.Signer
	var writers []io.Writer
	for _, k := range keys {
		own := o // which the signer goes on reading
		own.Domain, own.Selector, own.Signer = k.Domain, k.Selector, k.Private
		one, e := dkim.NewSigner(&own)
		if e != nil {
			err = fmt.Errorf("dkim: the key %s of %s: %w", k.Selector, k.Domain, e)
			break
		}
		signers, writers = append(signers, one), append(writers, one)
	}
	if err == nil {
		_, err = io.Copy(io.MultiWriter(writers...), message)
	}
	for _, one := range signers { // each has a goroutine, which ends by that
		if e := one.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return nil, err
	}
	for _, one := range signers {
		fields = append(fields, one.Signature()...)
	}
	return fields, nil
}

// readHeader reads the header with the line that ends it, and finds how often each field is there, by its name in lower
// case, and what From has.
func (s *Signer) readHeader(in *bufio.Reader) (header []byte, count map[string]int, from string, err error) {
	count = make(map[string]int)
	last := ""
	for {
		begin := len(header)
		err := bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			var part []byte
			part, err = in.ReadSlice('\n')
			if header = append(header, part...); len(header) > s.o.Header {
				return nil, nil, "", ErrHeader
			}
		}
		if err != nil && err != io.EOF {
			return nil, nil, "", err
		}
		text := string(bytes.TrimRight(header[begin:], "\r\n"))
		if text == "" {
			if err == io.EOF { // a message of a header alone
				header = append(header, '\r', '\n')
			}
			return header, count, from, nil
		}
		name, value, ok := strings.Cut(text, ":")
		switch {
		case text[0] == ' ' || text[0] == '\t':
			if last == "" {
				return nil, nil, "", ErrLines
			}
			if last == "from" {
				from += text
			}
		case !ok:
			return nil, nil, "", ErrLines
		default:
			last = strings.ToLower(strings.TrimRight(name, " \t"))
			if count[last]++; last == "from" {
				from = value
			}
		}
	}
}

// words reads names in any charset, since the address alone counts.
var words = &mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// keysFor finds the keys for an author.
func (s *Signer) keysFor(from string) ([]Key, error) {
	list, err := words.ParseList(strings.TrimSpace(from))
	if err != nil || len(list) == 0 {
		return nil, ErrFrom
	}
	_, domain, _ := cutLast(list[0].Address, "@")
	for domain = strings.ToLower(domain); domain != ""; {
		if keys := s.keys[domain]; len(keys) > 0 {
			return keys, nil
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return nil, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
