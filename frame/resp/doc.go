// Package resp frames and reads the Redis serialization protocol, RESP2 and RESP3 (redis.io, "Redis serialization
// protocol specification").
//
// Two codecs say where a message ends: [Commands] is what a server receives, arrays of bulk strings, and lines if asked
// for; [Values] is what a client receives, any value. A server has both:
//
//	codec := frame.Pair{In: resp.Commands{}, Out: resp.Values{}}
//	srv.Handler = plexor.Messages(codec, func(c *plexor.Conn, msg []byte) error {
//		args, err := resp.Args(nil, msg)
//		…
//		_, err = c.Write(resp.AppendBulk(nil, value))
//		return err
//	})
//
// A message is the frame itself, with its lengths and line ends: [Args] takes a command apart, [Next] a value, one item
// at a time, and the functions that begin with Append write. None of them copies: what they return are views into the
// message, valid as long as that is.
//
// # Strict
//
// Lines end with CR LF, lengths are decimal digits without sign or leading zeros (but for -1 where RESP2 has it for
// null), and what a line says is of its type. A CR or LF inside a simple string or an error can't be sent: AppendSimple
// and AppendError write spaces for them, so that text from a user does not become a reply of its own. RESP3's streamed
// strings and aggregates, which Redis never sends, are refused.
//
// # Bounds
//
// Each has a name: Max (bytes of a message), MaxArgs, MaxLine, MaxElements and MaxDepth. A length that can't be kept is
// refused when it is announced. A frame that comes in pieces is gone through once, however small they are.
package resp
