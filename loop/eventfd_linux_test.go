package loop

import (
	"os"
	"testing"
)

// A wake that comes late writes to nobody: the descriptor's number may be a stranger's by then.
func TestLateWakeWritesNothing(t *testing.T) {
	e, err := newEventfd()
	if err != nil {
		t.Skipf("no eventfd for a ring here: %v", err)
	}
	number := e.fd
	if err := e.close(); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for range 20 { // until the number is taken
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
		if int(f.Fd()) != number {
			continue
		}
		if err := e.wake(); err == nil {
			t.Error("wake after close: no error")
		}
		if info, err := f.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("the stranger's file has %d bytes (%v)", info.Size(), err)
		}
		return
	}
	t.Skipf("the number %d was not given again", number)
}
