package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/plexor-go/plexor/frame"
)

// Push: the decoder is fed what arrived. Here two messages come in three pieces.
func ExampleDecoder() {
	d, err := frame.NewDecoder(frame.Length{Bytes: 2, Max: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, piece := range []string{"\x00", "\x05hello\x00\x05wo", "rld"} {
		for msg, err := range d.Feed([]byte(piece)) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%s\n", msg)
		}
	}
	fmt.Println("at the end:", d.End())
	// Output:
	// hello
	// world
	// at the end: <nil>
}

// A caller that can handle only one message now keeps the rest of the piece for later.
func ExampleDecoder_Next() {
	d, err := frame.NewDecoder(frame.Netstring{})
	if err != nil {
		fmt.Println(err)
		return
	}
	piece := []byte("3:one,3:two,5:thr")
	first, rest, err := d.Next(piece)
	fmt.Printf("%q %v, then %q is left\n", first, err, rest)
	second, rest, err := d.Next(rest)
	fmt.Printf("%q %v, then %q is left\n", second, err, rest)
	none, _, err := d.Next(rest)
	fmt.Println(none == nil, err, d.Buffered(), "bytes of the next message are here")
	// Output:
	// "one" <nil>, then "3:two,5:thr" is left
	// "two" <nil>, then "5:thr" is left
	// true <nil> 5 bytes of the next message are here
}

// Pull: messages out of an io.Reader.
func ExampleNewReader() {
	r, err := frame.NewReader(strings.NewReader("GET /\r\nHost: localhost\r\n\r\n"), frame.Line{CRLF: true, Max: 1000})
	if err != nil {
		fmt.Println(err)
		return
	}
	for line, err := range r.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%q\n", line)
	}
	// Output:
	// "GET /"
	// "Host: localhost"
	// ""
}

// Each message goes out in one Write.
func ExampleNewWriter() {
	w, err := frame.NewWriter(os.Stdout, frame.Netstring{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintf(w, "%d bottles", 99)
	w.Write([]byte("of beer"))
	// Output:
	// 10:99 bottles,7:of beer,
}

// Append: frames are added to a buffer of the sender's, to leave in one write.
func ExampleLength_Append() {
	c := frame.Length{Bytes: 4, Max: 1 << 20}
	var out []byte
	for _, msg := range []string{"hello", "", "world"} {
		var err error
		if out, err = c.Append(out, []byte(msg)); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Printf("%q\n", out)
	// Output:
	// "\x00\x00\x00\x05hello\x00\x00\x00\x00\x00\x00\x00\x05world"
}

// A codec from the command line.
func ExampleParse() {
	c, err := frame.Parse(`len2le,offset=1,keep,max=4KiB`)
	fmt.Printf("%#v %v\n", c, err)
	fmt.Println(c)
	_, err = frame.Parse("len5")
	what, _, _ := strings.Cut(err.Error(), ";")
	fmt.Println(what)
	// Output:
	// frame.Length{Bytes:2, LittleEndian:true, Inclusive:false, Keep:true, Offset:1, Adjust:0, Strip:0, Max:4096} <nil>
	// len2le,offset=1,keep,max=4096
	// frame: spec "len5": a length field is 1, 2, 3, 4 or 8 bytes wide, as in len4
}

// What is wrong with a stream, and where.
func ExampleError() {
	stream := "\x05hello\xff\xff\xff\xff\x0f"
	r, err := frame.NewReader(strings.NewReader(stream), frame.Varint{Max: 9})
	if err != nil {
		fmt.Println(err)
		return
	}
	for msg, err := range r.All() {
		fmt.Printf("%q %v\n", msg, err)
		var e *frame.Error
		if errors.As(err, &e) {
			fmt.Println(e.Offset, errors.Is(err, frame.ErrTooLong), errors.Is(err, io.ErrUnexpectedEOF))
		}
	}
	// Output:
	// "hello" <nil>
	// "" frame: varint,max=9: message too long at byte 6: a length of 4294967295 is announced, 9 is the longest allowed
	// 6 true false
}

// tlv is a codec of one's own: a type byte and a length byte before the value. The message is all three.
type tlv struct{}

func (tlv) Check() error    { return nil }
func (tlv) MaxMessage() int { return 2 + 255 }
func (tlv) MaxFrame() int   { return 2 + 255 }
func (tlv) String() string  { return "tlv" }

func (tlv) Scan(p []byte, _ int) (frame.Span, error) {
	if len(p) < 2 {
		return frame.Span{Size: 2}, nil
	}
	if p[0] == 0 {
		return frame.Span{}, fmt.Errorf("%w: type 0", frame.ErrMalformed)
	}
	size := 2 + int(p[1])
	return frame.Span{End: size, Size: size}, nil
}

func (c tlv) Append(dst, msg []byte) ([]byte, error) {
	return frame.AppendWhole(c, dst, msg)
}

// A codec of one's own has the same three uses.
func ExampleCodec() {
	r, err := frame.NewReader(bytes.NewReader([]byte("\x01\x02hi\x02\x00\x00\x00")), tlv{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for msg, err := range r.All() {
		fmt.Printf("%q %v\n", msg, err)
	}
	// Output:
	// "\x01\x02hi" <nil>
	// "\x02\x00" <nil>
	// "" frame: tlv: malformed frame: type 0 at byte 6
}

// A server takes lines and answers with a length of four bytes; its client has the two the other way round.
func ExamplePair() {
	server, err := frame.Parse("line~len4")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := frame.Pair{In: frame.Length{Bytes: 4}, Out: frame.Line{}}
	request, err := client.Append(nil, []byte("time?"))
	fmt.Printf("%q %v\n", request, err)
	d, err := frame.NewDecoder(server)
	if err != nil {
		fmt.Println(err)
		return
	}
	for msg, err := range d.Feed(request) {
		fmt.Printf("%q %v\n", msg, err)
		reply, err := server.Append(nil, []byte("noon"))
		fmt.Printf("%q %v\n", reply, err)
	}
	// Output:
	// "time?\n" <nil>
	// "time?" <nil>
	// "\x00\x00\x00\x04noon" <nil>
}
