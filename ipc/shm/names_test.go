//go:build linux

package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNames(t *testing.T) {
	name := testName(os.Getpid(), "names")
	_, err := Open(name)
	wantErr(t, "open what is not there", err, fs.ErrNotExist, unix.ENOENT)
	wantErr(t, "remove what is not there", Remove(name), fs.ErrNotExist)
	r, err := Create(name, Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Create(name, Options{})
	wantErr(t, "create what is there", err, fs.ErrExist)
	st, err := os.Stat(Dir + "/" + name)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("the file's mode is %v, %v; want 0600", st.Mode(), err)
	}
	put(t, r, "kept")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = Open(name); err != nil { // nobody had it open
		t.Fatal(err)
	}
	if err := Remove(name); err != nil {
		t.Fatal(err)
	}
	done(t, r, get(t, r, 1, "kept")...)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "a/b", "/a", "a\x00b", strings.Repeat("a", 256)} {
		_, createErr := Create(name, Options{})
		_, openErr := Open(name)
		for _, err := range []error{createErr, openErr, Remove(name)} {
			wantErr(t, fmt.Sprintf("the name %q", name), err, os.ErrInvalid)
		}
	}
}

func TestMode(t *testing.T) {
	name := testName(os.Getpid(), "mode")
	old := unix.Umask(0o77)
	defer unix.Umask(old)
	r, err := Create(name, Options{Mode: 0o660})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(Dir + "/" + name)
	if err := errors.Join(err, Remove(name), r.Close()); err != nil {
		t.Fatal(err)
	}
	if st.Mode() != 0o660 {
		t.Errorf("the file's mode is %v, want 0660", st.Mode())
	}
}

func TestOptions(t *testing.T) {
	for _, row := range []struct {
		name string
		o    Options
		want string
	}{
		{"negative slots", Options{Slots: -1}, "Slots is -1"},
		{"too many slots", Options{Slots: MaxSlots + 1}, "Slots is "},
		{"negative slot size", Options{SlotSize: -1}, "SlotSize is -1"},
		{"slot size too great", Options{SlotSize: MaxSlotSize + 1}, "SlotSize is "},
		{"memory too great", Options{Slots: MaxSlots, SlotSize: 1024}, "all memory together"},
		{"negative item", Options{MaxItem: -1}, "MaxItem is -1"},
		{"item too great", Options{Slots: 2, SlotSize: 64, MaxItem: 129}, "at most 129 bytes"},
		{"mode with a type", Options{Mode: os.ModeDir}, "Mode is d"},
	} {
		t.Run(row.name, func(t *testing.T) {
			r, err := New(row.o)
			if err == nil {
				_ = r.Close() // the error is that there is one
			}
			wantErr(t, row.name, err, os.ErrInvalid)
			if err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q in it", err, row.want)
			}
		})
	}
	for _, o := range []Options{{}, {Slots: 1, SlotSize: 1, MaxItem: 64}, {Slots: MaxSlots, SlotSize: 64, MaxItem: 1}} {
		if _, err := o.shape(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestAvailable(t *testing.T) {
	if err := Available(); err != nil {
		t.Error(err)
	}
}
