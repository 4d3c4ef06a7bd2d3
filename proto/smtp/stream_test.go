package smtp

import (
	"context"
	"io"
	"runtime"
	"testing"
)

// TestStream: a message of 9 MiB goes through the client and the server, by DATA and by BDAT, while memory grows by
// less than 1 MiB: none of it is kept.
func TestStream(t *testing.T) {
	const size = 9 << 20
	for _, o := range []ClientOptions{{}, {Chunking: true}} {
		var most uint64
		st := new(store)
		st.data = func(_ *storing, r io.Reader) (string, error) {
			b := make([]byte, 32<<10)
			for n := 0; ; {
				k, err := r.Read(b)
				if n += k; n/(2<<20) != (n-k)/(2<<20) {
					most = max(most, heap())
				}
				if err == io.EOF {
					return itoa(n), nil
				}
				if err != nil {
					return "", err
				}
			}
		}
		c := connect(t, serve(t, &Server{Backend: st, Limits: Limits{Message: 1 << 40}}), o)
		warm := &Message{To: to("b"), Data: unseekable{io.LimitReader(lines{}, 3<<20)}}
		if _, err := c.Send(t.Context(), warm); err != nil {
			t.Fatal(err)
		}
		before := heap()
		most = 0
		m := &Message{To: to("b"), Data: unseekable{io.LimitReader(lines{}, size)}}
		r, err := c.Send(context.Background(), m)
		if err != nil || r.Reply.Text() != "Ok: "+itoa(size) {
			t.Errorf("%+v: %v, %+v", o, err, r)
		}
		if most == 0 || most > before+1<<20 {
			t.Errorf("%+v: the heap has grown from %d to %d bytes", o, before, most)
		}
	}
}

// heap is how many bytes live on it.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
