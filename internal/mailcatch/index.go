package mailcatch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/plexor-go/plexor/internal/letter"
)

// A Mail is what the list has of one: see docs/mail.md, which documents the JSON.
type Mail struct {
	ID       string    `json:"id"`       // 20 hexadecimal digits
	Number   uint64    `json:"number"`   // of arrival, from 1; it begins anew with the process
	Received time.Time `json:"received"` // when it was taken
	Size     int64     `json:"size"`     // in bytes, as it was sent
	Unread   bool      `json:"unread"`

	Sender     string   `json:"sender"`     // of the envelope; "": the null sender
	Recipients []string `json:"recipients"` // of the envelope
	Helo       string   `json:"helo,omitempty"`
	Peer       string   `json:"peer,omitempty"` // an IP address
	Protocol   string   `json:"protocol,omitempty"`

	From        letter.Address   `json:"from"`
	To          []letter.Address `json:"to"`
	Cc          []letter.Address `json:"cc"`
	Subject     string           `json:"subject"`
	Date        string           `json:"date"` // as the sender has it
	MessageID   string           `json:"messageID"`
	Snippet     string           `json:"snippet"`
	Attachments int              `json:"attachments"` // in the first 64 KiB
}

// What the index keeps of a mail, in bytes. All of it comes to some 20 KiB where a sender fills it, and to 1 KiB else.
const (
	mostSubject    = 300
	mostDate       = 60
	mostSnippet    = 200
	mostAddress    = 320  // as long as one may be (RFC 5321, section 4.5.3.1)
	mostInField    = 10   // addresses of To, and of Cc
	mostEnvelope   = 8192 // of all recipients
	mostSaid       = 16 << 10
	mostSearchHead = 256 << 10
)

// An entry is a mail of the index. All but said, dir, info, behind and Unread stays as it was; those are changed with
// the store's lock held.
type entry struct {
	Mail
	base   string // the unique part of the file's name
	dir    string
	info   string // the rest of the name, with its mark
	prefix int64  // length of the trace, in bytes
	file   int64  // length of the file
	ours   bool   // the name was made by this package
	behind bool   // the file is not there yet
	gen    uint64 // of the journal that has it; 0: none
	said   string // the text in lower case, when somebody has searched for one
}

func (e *entry) path() string { return e.dir + "/" + e.base + e.info }

// envelope notes what SMTP has said.
func (e *entry) envelope(env Envelope) {
	e.Sender = letter.Clip(letter.Words(env.From), mostAddress)
	e.Recipients = []string{}
	room := mostEnvelope
	for _, to := range env.To {
		if to = letter.Clip(letter.Words(to), mostAddress); len(to) > room {
			break
		}
		room -= len(to)
		e.Recipients = append(e.Recipients, to)
	}
	e.Helo = letter.Clip(letter.Words(env.Helo), mostHelo)
	e.Protocol = letter.Clip(letter.Words(env.Protocol), mostDate)
	if env.Peer != (netip.Addr{}) {
		e.Peer = env.Peer.Unmap().WithZone("").String()
	}
}

func clipAddress(a letter.Address) letter.Address {
	return letter.Address{Name: letter.Clip(a.Name, mostAddress), Address: letter.Clip(a.Address, mostAddress)}
}

func clipAddresses(value string) []letter.Address {
	all := []letter.Address{} // JSON has a list
	for _, a := range letter.Addresses(value) {
		if len(all) == mostInField {
			break
		}
		all = append(all, clipAddress(a))
	}
	return all
}

// An index is what a store knows of its mails. The store's lock is held.
type index struct {
	byID   map[string]*entry
	order  []*entry // by number
	last   uint64
	bytes  int64 // of the files
	unread int
	said   int64 // bytes of all texts that are kept
}

func (x *index) add(e *entry) {
	x.last++
	e.Number = x.last
	x.byID[e.ID] = e
	x.order = append(x.order, e)
	x.bytes += e.file
	if e.Unread {
		x.unread++
	}
}

func (x *index) remove(e *entry) {
	if x.byID[e.ID] != e {
		return
	}
	delete(x.byID, e.ID)
	i, ok := slices.BinarySearchFunc(x.order, e.Number, func(e *entry, n uint64) int {
		switch {
		case e.Number < n:
			return -1
		case e.Number > n:
			return 1
		}
		return 0
	})
	if !ok {
		panic("mailcatch: a mail of the index is not in its order")
	}
	if i == 0 { // the oldest, as it is dropped: nothing moves
		x.order[0] = nil
		x.order = x.order[1:]
	} else {
		x.order = slices.Delete(x.order, i, i+1)
	}
	x.bytes -= e.file
	x.said -= int64(len(e.said))
	if e.Unread {
		x.unread--
	}
}

// oldest is the oldest mail of which is says yes.
func (x *index) oldest(is func(*entry) bool) *entry {
	for _, e := range x.order {
		if is(e) {
			return e
		}
	}
	return nil
}
