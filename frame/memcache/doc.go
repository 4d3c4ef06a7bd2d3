// Package memcache frames and reads the text protocol of memcached, with its meta commands (doc/protocol.txt of
// memcached 1.6; the binary protocol, which is deprecated, is not in it).
//
// Two codecs say where a message ends: [Requests] is what a server receives, [Replies] what a client does. A server has
// both:
//
//	codec := frame.Pair{In: memcache.Requests{}, Out: memcache.Replies{}}
//	srv.Handler = plexor.Messages(codec, func(c *plexor.Conn, msg []byte) error {
//		words, data, err := memcache.Words(nil, msg)
//		…
//		_, err = c.Write([]byte("STORED\r\n"))
//		return err
//	})
//
// A message is the frame itself: the line, and the block of data behind it where the line announces one, with their
// line ends. A reply to get, gets or stats is one message, with all its items up to the END. [Words] takes a request
// apart, [Next] a reply, one item at a time: what they return are views into the message, valid as long as that is. The
// functions that begin with Append write, and refuse words that would become more than one.
//
// # Strict
//
// Where memcached goes on behind what it did not understand, the data of one request may be read as the next one, and a
// stranger may have chosen the data. So these are malformed, and end the stream: a line that ends with LF alone,
// control characters in a line, a request that does not begin with a word in lower case (as a browser's does not), a
// storage command whose length is missing, signed, or not decimal, and a block that is longer or shorter than was
// announced. A request of which the name is unknown is a line, as all but the storage commands are: answer "ERROR\r\n".
//
// # Bounds
//
// Max bounds a message in bytes, MaxLine its lines. A block that can't be kept is refused when it is announced. A frame
// that comes in pieces is gone through once, however small they are.
package memcache
