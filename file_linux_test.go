package plexor_test

import (
	"bytes"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/plexor-go/plexor"
)

// TestSendFileFromTheDisk: what is not in the system's memory any more, all of it or its middle alone, arrives too.
func TestSendFileFromTheDisk(t *testing.T) {
	beside(t)
	content := random(2<<20, 7)
	eachPlace(t, func(t *testing.T, p place) {
		f := fileOf(t, content)
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		for _, out := range []struct{ off, n int64 }{{0, 0}, {512 << 10, 512 << 10}} {
			if err := unix.Fadvise(int(f.Fd()), out.off, out.n, unix.FADV_DONTNEED); err != nil {
				t.Fatal(err)
			}
			_, client, done := checked(t, p, &plexor.Server{}, func(c *plexor.Conn) error {
				_, err := c.SendFile(f, 0, int64(len(content)))
				return err
			})
			got, err := io.ReadAll(client)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("without %+v: %d bytes, %v", out, len(got), err)
			}
			done()
			if p.addr[:4] == "unix" {
				break // its path is taken
			}
		}
	})
}
