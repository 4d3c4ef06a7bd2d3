package main

import (
	"bytes"
	"math"
	"strconv"

	"github.com/plexor-go/plexor/frame/resp"
)

// A command is what the server knows to do.
type command struct {
	least, most int  // arguments, the name among them; most is 0 for any number
	writes      bool // may need memory
	do          func(s *store, r *reply, args [][]byte)
}

var commands = map[string]command{
	"PING":     {least: 1, most: 2, do: ping},
	"ECHO":     {least: 2, most: 2, do: func(_ *store, r *reply, args [][]byte) { r.bulk(args[1]) }},
	"GET":      {least: 2, most: 2, do: get},
	"MGET":     {least: 2, do: mget},
	"SET":      {least: 3, writes: true, do: set},
	"MSET":     {least: 3, writes: true, do: mset},
	"DEL":      {least: 2, do: del},
	"EXISTS":   {least: 2, do: exists},
	"INCR":     {least: 2, most: 2, writes: true, do: func(s *store, r *reply, args [][]byte) { s.add(r, args[1], 1) }},
	"DECR":     {least: 2, most: 2, writes: true, do: func(s *store, r *reply, args [][]byte) { s.add(r, args[1], -1) }},
	"INCRBY":   {least: 3, most: 3, writes: true, do: incrBy},
	"EXPIRE":   {least: 3, most: 3, do: expire},
	"TTL":      {least: 2, most: 2, do: ttl},
	"TYPE":     {least: 2, most: 2, do: typeOf},
	"LPUSH":    {least: 3, writes: true, do: func(s *store, r *reply, args [][]byte) { s.pushAll(r, args, true) }},
	"RPUSH":    {least: 3, writes: true, do: func(s *store, r *reply, args [][]byte) { s.pushAll(r, args, false) }},
	"LPOP":     {least: 2, most: 2, do: func(s *store, r *reply, args [][]byte) { s.popOne(r, args, true) }},
	"RPOP":     {least: 2, most: 2, do: func(s *store, r *reply, args [][]byte) { s.popOne(r, args, false) }},
	"LLEN":     {least: 2, most: 2, do: llen},
	"LRANGE":   {least: 4, most: 4, do: lrange},
	"DBSIZE":   {least: 1, most: 1, do: func(s *store, r *reply, _ [][]byte) { r.number(len(s.entries)) }},
	"FLUSHALL": {least: 1, most: 2, do: flush},
	"SELECT":   {least: 2, most: 2, do: selectDB},
	"HELLO":    {least: 1, do: hello},
	"QUIT":     {least: 1, do: func(_ *store, r *reply, _ [][]byte) { r.ok() }},
	// What clients ask when they begin, and can do without.
	"COMMAND": {least: 1, do: func(_ *store, r *reply, _ [][]byte) { r.array(0) }},
	"CONFIG":  {least: 2, do: func(_ *store, r *reply, _ [][]byte) { r.array(0) }},
	"CLIENT":  {least: 2, do: func(_ *store, r *reply, _ [][]byte) { r.ok() }},
}

// longestName is more than any command's name has, in bytes.
const longestName = 16

// command answers one command, and says whether the client wants to go.
func (s *store) command(r *reply, msg []byte) (quit bool) {
	r.reset()
	args, err := resp.Args(r.args[:0], msg)
	r.args = args
	if err != nil {
		r.fail("ERR " + err.Error())
		return true
	}
	if len(args) == 0 {
		return false // as Redis answers nothing to it
	}
	var upper [longestName]byte
	name := upper[:copy(upper[:], args[0])]
	for i, b := range name {
		if b >= 'a' && b <= 'z' {
			name[i] = b - 'a' + 'A'
		}
	}
	c, ok := commands[string(name)]
	switch {
	case !ok:
		r.fail("ERR unknown command '" + clip(args[0]) + "'")
	case len(args) < c.least || c.most > 0 && len(args) > c.most:
		r.fail("ERR wrong number of arguments for '" + clip(bytes.ToLower(name)) + "' command")
	case c.writes && !s.room(len(msg)+overhead*len(args)):
		s.expire()
		r.fail("OOM command not allowed when used memory > 'maxmemory'.")
	default:
		if c.writes {
			s.expire()
		}
		if c.do(s, r, args); r.size > mostReply {
			r.reset()
			r.fail("ERR the reply is too long")
		}
	}
	return string(name) == "QUIT"
}

// lend notes that a reply has big values in it, if it has; what it returns is to be taken from lent when it is sent.
func (s *store) lend(r *reply) int32 {
	if len(r.parts) == 0 {
		return 0
	}
	s.lent.Add(1)
	return 1
}

// clip bounds what an error says of a client's bytes.
func clip(p []byte) string { return string(p[:min(len(p), 100)]) }

const (
	wrongType  = "WRONGTYPE Operation against a key holding the wrong kind of value"
	notInteger = "ERR value is not an integer or out of range"
	syntax     = "ERR syntax error"
)

func ping(_ *store, r *reply, args [][]byte) {
	if len(args) == 2 {
		r.bulk(args[1])
		return
	}
	r.b = append(r.b, "+PONG\r\n"...)
}

func get(s *store, r *reply, args [][]byte) {
	switch e := s.find(args[1]); {
	case e == nil:
		r.null()
	case e.list != nil:
		r.fail(wrongType)
	default:
		r.bulk(e.text)
	}
}

func mget(s *store, r *reply, args [][]byte) {
	r.array(len(args) - 1)
	for _, key := range args[1:] {
		if e := s.find(key); e != nil && e.list == nil {
			r.bulk(e.text)
		} else {
			r.null()
		}
	}
}

// set is SET key value [NX|XX] [EX seconds|PX milliseconds].
func set(s *store, r *reply, args [][]byte) {
	var end int64
	var only, not bool
	for i := 3; i < len(args); i++ {
		switch option := string(bytes.ToUpper(args[i][:min(len(args[i]), 3)])); option {
		case "NX":
			not = true
		case "XX":
			only = true
		case "EX", "PX":
			i++
			unit := int64(1000)
			if option == "PX" {
				unit = 1
			}
			if i == len(args) || end != 0 {
				r.fail(syntax)
				return
			}
			n, err := strconv.ParseInt(string(args[i]), 10, 64)
			now := s.now().UnixMilli()
			if err != nil || n <= 0 || n > (math.MaxInt64-now)/unit {
				r.fail("ERR invalid expire time in 'set' command")
				return
			}
			end = now + n*unit
		default:
			r.fail(syntax)
			return
		}
	}
	if only && not {
		r.fail(syntax)
		return
	}
	if only || not {
		if there := s.find(args[1]) != nil; there != only {
			r.null()
			return
		}
	}
	s.setEnd(s.setText(args[1], args[2]), end)
	r.ok()
}

func mset(s *store, r *reply, args [][]byte) {
	if len(args)%2 == 0 {
		r.fail("ERR wrong number of arguments for 'mset' command")
		return
	}
	for i := 1; i < len(args); i += 2 {
		s.setText(args[i], args[i+1])
	}
	r.ok()
}

func del(s *store, r *reply, args [][]byte) {
	n := 0
	for _, key := range args[1:] {
		if e := s.find(key); e != nil {
			s.remove(string(key), e)
			n++
		}
	}
	r.number(n)
}

func exists(s *store, r *reply, args [][]byte) {
	n := 0
	for _, key := range args[1:] {
		if s.find(key) != nil {
			n++
		}
	}
	r.number(n)
}

func incrBy(s *store, r *reply, args [][]byte) {
	n, err := strconv.ParseInt(string(args[2]), 10, 64)
	if err != nil {
		r.fail(notInteger)
		return
	}
	s.add(r, args[1], n)
}

func (s *store) add(r *reply, key []byte, by int64) {
	var n, end int64
	if e := s.find(key); e != nil {
		if e.list != nil {
			r.fail(wrongType)
			return
		}
		var err error
		if n, err = strconv.ParseInt(string(e.text), 10, 64); err != nil {
			r.fail(notInteger)
			return
		}
		end = e.end
	}
	if by > 0 && n > math.MaxInt64-by || by < 0 && n < math.MinInt64-by {
		r.fail("ERR increment or decrement would overflow")
		return
	}
	var digits [20]byte
	s.setEnd(s.setText(key, strconv.AppendInt(digits[:0], n+by, 10)), end)
	r.b = resp.AppendInt(r.b, n+by)
}

func expire(s *store, r *reply, args [][]byte) {
	seconds, err := strconv.ParseInt(string(args[2]), 10, 64)
	now := s.now().UnixMilli()
	if err != nil || seconds > (math.MaxInt64-now)/1000 {
		r.fail(notInteger)
		return
	}
	e := s.find(args[1])
	switch {
	case e == nil:
		r.number(0)
		return
	case seconds <= 0:
		s.remove(string(args[1]), e)
	default:
		s.setEnd(e, now+seconds*1000)
	}
	r.number(1)
}

// ttl answers whole seconds, rounded, -1 for never, -2 for no such key.
func ttl(s *store, r *reply, args [][]byte) {
	switch e := s.find(args[1]); {
	case e == nil:
		r.number(-2)
	case e.end == 0:
		r.number(-1)
	default:
		r.b = resp.AppendInt(r.b, (e.end-s.now().UnixMilli()+500)/1000)
	}
}

func typeOf(s *store, r *reply, args [][]byte) {
	name := "string"
	if e := s.find(args[1]); e == nil {
		name = "none"
	} else if e.list != nil {
		name = "list"
	}
	r.b = resp.AppendSimple(r.b, name)
}

func (s *store) pushAll(r *reply, args [][]byte, left bool) {
	if e := s.find(args[1]); e != nil && e.list == nil {
		r.fail(wrongType)
		return
	}
	r.number(s.push(args[1], left, args[2:]))
}

// listOf is a key's list; with nil it has answered already if the key holds something else.
func (s *store) listOf(r *reply, key []byte) (e *entry, ok bool) {
	if e = s.find(key); e != nil && e.list == nil {
		r.fail(wrongType)
		return nil, false
	}
	return e, true
}

func (s *store) popOne(r *reply, args [][]byte, left bool) {
	e, ok := s.listOf(r, args[1])
	switch {
	case !ok:
	case e == nil:
		r.null()
	default:
		r.bulk(s.pop(args[1], e, left))
	}
}

func llen(s *store, r *reply, args [][]byte) {
	e, ok := s.listOf(r, args[1])
	switch {
	case !ok:
	case e == nil:
		r.number(0)
	default:
		r.number(e.list.len())
	}
}

func lrange(s *store, r *reply, args [][]byte) {
	from, err1 := strconv.Atoi(string(args[2]))
	to, err2 := strconv.Atoi(string(args[3]))
	if err1 != nil || err2 != nil {
		r.fail(notInteger)
		return
	}
	e, ok := s.listOf(r, args[1])
	if !ok {
		return
	}
	n := 0
	if e != nil {
		n = e.list.len()
	}
	if from < 0 { // from the end
		from = max(0, n+from)
	}
	if to < 0 {
		to = n + to
	}
	to = min(to, n-1)
	r.array(max(0, to-from+1))
	for ; from <= to; from++ {
		r.bulk(e.list.at(from))
	}
}

func flush(s *store, r *reply, _ [][]byte) {
	clear(s.entries)
	s.used, s.expires = 0, 0
	r.ok()
}

func selectDB(_ *store, r *reply, args [][]byte) {
	if string(args[1]) != "0" {
		r.fail("ERR DB index is out of range")
		return
	}
	r.ok()
}

// hello speaks RESP2 alone: clients that would rather have RESP3 go on with that.
func hello(_ *store, r *reply, args [][]byte) {
	if len(args) > 1 && string(args[1]) != "2" {
		r.fail("NOPROTO unsupported protocol version")
		return
	}
	r.array(6)
	for _, text := range []string{"server", "redis", "version", "0.0.0"} {
		r.b = resp.AppendBulk(r.b, text)
	}
	r.b = resp.AppendBulk(r.b, "proto")
	r.number(2)
}
