// Command memcache is a small cache that memcached's clients take for one, by its text protocol and the commonest meta
// commands.
//
//	go run ./examples/memcache                   # on tcp://127.0.0.1:11311; stop it with Ctrl-C
//	printf 'set k 0 0 5\r\nhello\r\nmg k v s\r\nquit\r\n' | nc 127.0.0.1 11311
//
// A connection is a plexor.Messages whose codec is memcached's, and one loop runs them all, so the cache is a plain
// map. What is kept is bounded: when it is full, whichever key comes first has to go. Nothing expires.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
	"github.com/plexor-go/plexor/frame/memcache"
)

const (
	maxItem  = 1 << 20 // bytes of an item's data
	overhead = 64      // what an item counts besides the bytes of its key and data
	drain    = 5 * time.Second
)

// codec has room for the longest item, with its line.
var codec = frame.Pair{In: memcache.Requests{Max: maxItem + 1024}, Out: memcache.Replies{}}

type item struct {
	data  []byte
	flags uint32
	cas   uint64
}

// A cache belongs to one loop.
type cache struct {
	items      map[string]item
	used, most int    // bytes
	cas        uint64 // of what was stored last
}

// store keeps a copy of data, and drops others until there is room.
func (c *cache) store(key []byte, data []byte, flags uint32) {
	c.remove(string(key))
	size := len(key) + len(data) + overhead
	for other := range c.items {
		if c.used+size <= c.most {
			break
		}
		c.remove(other)
	}
	c.cas++
	c.items[string(key)] = item{slices.Clone(data), flags, c.cas}
	c.used += size
}

func (c *cache) remove(key string) bool {
	it, ok := c.items[key]
	if ok {
		delete(c.items, key)
		c.used -= len(key) + len(it.data) + overhead
	}
	return ok
}

// answer appends the reply to a request to out, and says whether the client wants to go.
func (c *cache) answer(out []byte, words [][]byte, data []byte) (reply []byte, quit bool) {
	name := string(words[0])
	if len(words) > 1 && len(words[1]) > memcache.MaxKey {
		return memcache.AppendClientError(out, "the key is too long"), false
	}
	switch before := len(out); name {
	case "get", "gets":
		return c.get(out, words), false
	case "set", "add", "replace", "cas":
		out = c.set(out, words, data)
		if string(words[len(words)-1]) == "noreply" {
			out = out[:before]
		}
		return out, false
	case "delete":
		if len(words) > 1 && c.remove(string(words[1])) {
			return append(out, "DELETED\r\n"...), false
		}
		return append(out, "NOT_FOUND\r\n"...), false
	case "incr", "decr":
		return c.add(out, words), false
	case "mg", "ms", "md":
		if len(words) > 1 {
			return c.meta(out, words, data), false
		}
	case "mn":
		return append(out, "MN\r\n"...), false
	case "version":
		return append(out, "VERSION 0.0.0\r\n"...), false
	case "quit":
		return out, true
	}
	return append(out, "ERROR\r\n"...), false
}

func (c *cache) get(out []byte, words [][]byte) []byte {
	if len(words) < 2 {
		return append(out, "ERROR\r\n"...)
	}
	before := len(out)
	for _, key := range words[1:] {
		it, ok := c.items[string(key)]
		if !ok {
			continue
		}
		if len(out)-before > 8*maxItem { // a client may ask for one key many times
			return memcache.AppendServerError(out[:before], "the reply is too long")
		}
		var cas []string
		if string(words[0]) == "gets" {
			cas = []string{strconv.FormatUint(it.cas, 10)}
		}
		// The key came as one word, so it leaves as one.
		out, _ = memcache.AppendValue(out, key, it.flags, it.data, cas...)
	}
	return append(out, "END\r\n"...)
}

// set is NAME key flags expires length [cas] [noreply]; the codec has seen to the length.
func (c *cache) set(out []byte, words [][]byte, data []byte) []byte {
	flags, err := strconv.ParseUint(string(words[2]), 10, 32)
	if err != nil || len(data) > maxItem {
		return memcache.AppendClientError(out, "bad command line format, or data too large")
	}
	it, there := c.items[string(words[1])]
	switch name := string(words[0]); {
	case name == "add" && there, name == "replace" && !there:
		return append(out, "NOT_STORED\r\n"...)
	case name == "cas" && !there:
		return append(out, "NOT_FOUND\r\n"...)
	case name == "cas" && (len(words) < 6 || string(words[5]) != strconv.FormatUint(it.cas, 10)):
		return append(out, "EXISTS\r\n"...)
	}
	c.store(words[1], data, uint32(flags))
	return append(out, "STORED\r\n"...)
}

// add is incr or decr key number: the first wraps at 64 bits, the second stops at zero.
func (c *cache) add(out []byte, words [][]byte) []byte {
	if len(words) < 3 {
		return append(out, "ERROR\r\n"...)
	}
	it, ok := c.items[string(words[1])]
	if !ok {
		return append(out, "NOT_FOUND\r\n"...)
	}
	n, err1 := strconv.ParseUint(string(it.data), 10, 64)
	by, err2 := strconv.ParseUint(string(words[2]), 10, 64)
	if err1 != nil || err2 != nil {
		return memcache.AppendClientError(out, "cannot increment or decrement non-numeric value")
	}
	if string(words[0]) == "incr" {
		n += by
	} else {
		n -= min(n, by)
	}
	digits := strconv.AppendUint(nil, n, 10)
	c.store(words[1], digits, it.flags)
	return append(append(out, digits...), '\r', '\n')
}

// meta is mg, ms or md key, with the flags v, s, k and O of them.
func (c *cache) meta(out []byte, words [][]byte, data []byte) []byte {
	key, flags := words[1], words[2:]
	if string(words[0]) == "ms" {
		if flags = flags[1:]; len(data) > maxItem {
			return memcache.AppendServerError(out, "object too large for cache")
		}
		c.store(key, data, 0)
	}
	it, ok := c.items[string(key)]
	if string(words[0]) == "md" {
		c.remove(string(key))
	}
	if !ok {
		if string(words[0]) == "md" {
			return append(out, "NF\r\n"...)
		}
		return append(out, "EN\r\n"...)
	}
	value := false
	var asked []string
	for _, f := range flags {
		switch f[0] {
		case 'v':
			value = string(words[0]) == "mg"
		case 's':
			asked = append(asked, "s"+strconv.Itoa(len(it.data)))
		case 'k':
			asked = append(asked, "k"+string(key))
		case 'O':
			asked = append(asked, string(f))
		}
	}
	// The words came as words, so they leave as such.
	if value {
		out, _ = memcache.AppendMetaValue(out, it.data, asked...)
	} else {
		out, _ = memcache.AppendLine(out, append([]string{"HD"}, asked...)...)
	}
	return out
}

func main() {
	memory := flag.Int("memory", 64<<20, "how many `bytes` are kept at most, at least 2 MiB")
	flag.Parse()
	address := "tcp://127.0.0.1:11311"
	if flag.NArg() > 0 {
		address = flag.Arg(0)
	}
	c := &cache{items: make(map[string]item), most: max(*memory, 2*maxItem)}
	srv := &plexor.Server{Loops: 1}
	addr, err := srv.Open(address, plexor.Messages(codec, func(conn *plexor.Conn, msg []byte) error {
		words, data, err := memcache.Words(nil, msg)
		if err != nil {
			return err
		}
		reply, quit := c.answer(nil, words, data)
		if _, err := conn.Write(reply); err != nil {
			return err
		}
		if quit {
			return conn.Close()
		}
		return nil
	}))
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	log.Printf("listening on %s://%s", addr.Network(), addr)
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		log.Print(err)
	}
}
