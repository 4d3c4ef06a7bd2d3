package plexor

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"time"
	"unsafe"

	"github.com/plexor-go/plexor/loop"
)

// A tls.Conn keeps the buffers of its largest record and of its largest handshake message, which is 4 KiB behind a
// handshake and 17 KiB behind a record of full size, for as long as it lives, and has no method to give them back. A
// connection that rests needs neither, so they are taken from it, once nothing has come for a second:
//
//	Read of the transport ──▶ warm ──▶ warmTime without a byte ──▶ coolDown: both are empty, and are let go
//
// That reaches into what crypto/tls promises nobody. So the fields have to have the names and the types that they have
// in Go 1.26, or nothing is done, and both have to be empty, when a bytes.Buffer anew is what crypto/tls starts with
// too. Measured with 10,000 keep-alive connections of package web, resident: 13.2 KiB each without it.

// warmTime is how often warm connections are looked at, and so once or twice how long one has been silent when it gives
// its buffers back.
const warmTime = time.Second

// A warmList are the connections of a loop whose tls.Conn may hold buffers.
type warmList struct {
	list  []*secured // each knows its place
	timer *loop.Timer
	pass  *loop.Call // nil, as timer: none was warm yet
	runs  bool
	next  int // list[:next] are yet to be looked at
}

// warm is called when bytes are given to the tls.Conn.
func (w *worker) warm(x *secured) {
	x.stirred = true
	if x.warmAt > 0 || !tlsFields.known || x.c.raw.is(over) { // of what is over a handler reads the rest
		return
	}
	l := &w.warmed
	l.list = append(l.list, x)
	x.warmAt = uint32(len(l.list))
	if l.runs {
		return
	}
	l.runs = true
	if l.timer == nil {
		l.pass = w.loop.NewCall(w.coolSome)
		l.timer = w.loop.AfterFunc(warmTime, w.coolDown)
	} else {
		l.timer.Reset(warmTime)
	}
}

// unwarm is for those whose tls.Conn is no longer the loop's alone, or of use to nobody.
func (w *worker) unwarm(x *secured) {
	if x.warmAt == 0 {
		return
	}
	l := &w.warmed
	last := len(l.list) - 1
	moved := l.list[last]
	l.list[x.warmAt-1], moved.warmAt = moved, x.warmAt
	l.list[last], x.warmAt = nil, 0
	l.list = l.list[:last]
	l.next = min(l.next, last)
}

func (w *worker) coolDown() {
	w.warmed.next = len(w.warmed.list)
	w.coolSome()
}

// coolSome is a pass, as those of beat are.
func (w *worker) coolSome() {
	l := &w.warmed
	for budget := passBudget; l.next > 0; budget-- {
		if budget == 0 {
			_ = l.pass.Ask() // a loop that has ended has no connections
			return
		}
		l.next--
		switch x := l.list[l.next]; {
		case x.state == shaking:
		case x.stirred:
			x.stirred = false
		case letGo(x.tc):
			w.unwarm(x)
		}
	}
	if l.runs = len(l.list) > 0; l.runs {
		l.timer.Reset(warmTime)
	}
}

// tlsFields is where the buffers are in a tls.Conn.
var tlsFields = func() (f struct {
	rawInput, hand, input uintptr
	known                 bool
}) {
	f.known = true
	for _, x := range []struct {
		name string
		is   reflect.Type
		at   *uintptr
	}{
		{"rawInput", reflect.TypeFor[bytes.Buffer](), &f.rawInput},
		{"hand", reflect.TypeFor[bytes.Buffer](), &f.hand},
		{"input", reflect.TypeFor[bytes.Reader](), &f.input}, // of a part of rawInput
	} {
		field, ok := reflect.TypeFor[tls.Conn]().FieldByName(x.name)
		f.known = f.known && ok && field.Type == x.is
		*x.at = field.Offset
	}
	return f
}()

// letGo lets go of the buffers of a tls.Conn that nobody uses meanwhile. It reports false, with nothing done, where a
// record or a handshake message has come in part.
func letGo(tc *tls.Conn) bool {
	p := unsafe.Pointer(tc)
	rawInput := (*bytes.Buffer)(unsafe.Add(p, tlsFields.rawInput))
	hand := (*bytes.Buffer)(unsafe.Add(p, tlsFields.hand))
	input := (*bytes.Reader)(unsafe.Add(p, tlsFields.input))
	if rawInput.Len() > 0 || hand.Len() > 0 || input.Len() > 0 {
		return false
	}
	*rawInput, *hand, *input = bytes.Buffer{}, bytes.Buffer{}, bytes.Reader{}
	return true
}
