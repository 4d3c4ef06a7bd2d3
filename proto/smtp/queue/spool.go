package queue

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/plexor-go/plexor/proto/smtp"
)

// The spool is a folder with three: tmp has what is being written, data the messages, env their envelopes. A message is
// there when its envelope is, and that is the last to come and the first to go:
//
//	add:    tmp/ID.data written, synced ─▶ data/ID, synced
//	        ─▶ tmp/ID.env written, synced ─▶ env/ID, synced ─▶ Submit returns
//	update: tmp/ID.env written, synced ─▶ env/ID, synced
//	remove: env/ID gone, synced ─▶ data/ID gone
//
// An end between any two leaves files in tmp, or in data without an envelope: nobody was told that these were taken, or
// all of their recipients are done, so openSpool removes them.
//
// A report and the note that it was made are two envelopes, and an end may come between them. So the report comes
// first, and is held back until the message that it is about says so, or is gone:
//
//	add the report ─▶ update or remove the message ─▶ the report is delivered
//
// A report that openSpool finds, and whose message does not know of it, was sent to nobody: it is removed, and the
// message is tried again.

// An envelope is what stands in env/ID.
type envelope struct {
	ID       string
	From     smtp.Mailbox
	To       []recipient
	Options  smtp.MailOptions
	Received time.Time
	Fields   []byte `json:",omitempty"` // that Options.Sign puts in front of the message
	Reports  int    `json:",omitempty"` // how many were made about it

	// Of a report: the ID of the message that it is about, and which of its reports this is, from 1.
	About string `json:",omitempty"`
	Nth   int    `json:",omitempty"`

	held []*envelope // reports about it that are delivered when this envelope is written or removed
}

// A recipient is one of an envelope, with what became of it.
type recipient struct {
	smtp.Recipient
	Done     bool // delivered, or given up
	Reported bool // and its sender was told, or is not to be
	Delayed  bool `json:",omitempty"` // its sender was told that it is late
	Tries    int
	Next     time.Time
	Error    *smtp.Error // of the last try; nil: it was taken
	Server   string      // that has answered
	Relayed  bool        // to a server that makes no reports, and its sender wants to know
}

// next is when the next recipient is due.
func (e *envelope) next() (t time.Time) {
	for i := range e.To {
		if r := &e.To[i]; !r.Done && (t.IsZero() || r.Next.Before(t)) {
			t = r.Next
		}
	}
	return t
}

// over reports whether nothing is to be done any more.
func (e *envelope) over() bool {
	for i := range e.To {
		if !e.To[i].Done {
			return false
		}
	}
	return true
}

type spool struct {
	root *os.Root
	step func(string)
}

// Folders of the spool, and the end of an envelope that is being written.
const (
	tmpFolder  = "tmp"
	dataFolder = "data"
	envFolder  = "env"
)

func openSpool(dir string, step func(string)) (s *spool, all []*envelope, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("queue: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("queue: %w", err)
	}
	s = &spool{root, step}
	for _, folder := range []string{tmpFolder, dataFolder, envFolder} {
		if err = root.MkdirAll(folder, 0o700); err != nil {
			break
		}
	}
	if err == nil {
		err = s.sync(".")
	}
	if err == nil {
		all, err = s.load()
	}
	if err != nil {
		_ = root.Close() // err is the one to tell
		return nil, nil, fmt.Errorf("queue: %w", err)
	}
	return s, all, nil
}

func (s *spool) close() error { return s.root.Close() }

// load reads the envelopes, and removes what belongs to none, and reports that their messages do not know of.
func (s *spool) load() (all []*envelope, err error) {
	known := make(map[string]*envelope)
	names, err := fs.ReadDir(s.root.FS(), envFolder)
	if err != nil {
		return nil, err
	}
	for _, d := range names {
		b, err := s.root.ReadFile(filepath.Join(envFolder, d.Name()))
		if err != nil {
			return nil, err
		}
		e := new(envelope)
		if err := json.Unmarshal(b, e); err != nil || e.ID != d.Name() {
			return nil, fmt.Errorf("the envelope %s is damaged: %v", d.Name(), err)
		}
		known[e.ID] = e
	}
	for id, e := range known {
		if m := known[e.About]; m != nil && m.Reports < e.Nth {
			if err := s.root.Remove(filepath.Join(envFolder, id)); err != nil {
				return nil, err
			}
			delete(known, id)
			continue
		}
		all = append(all, e)
	}
	// What is gone now stays gone: a message that came back behind its report's delivery would be reported again.
	if err := s.sync(envFolder); err != nil {
		return nil, err
	}
	for _, folder := range []string{tmpFolder, dataFolder} {
		names, err := fs.ReadDir(s.root.FS(), folder)
		if err != nil {
			return nil, err
		}
		for _, d := range names {
			if folder == dataFolder && known[d.Name()] != nil {
				continue
			}
			if err := s.root.Remove(filepath.Join(folder, d.Name())); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// add writes a message, and gives it an ID.
func (s *spool) add(e *envelope, r io.Reader, sign func(io.Reader) ([]byte, error)) error {
	e.ID = strings.ToLower(rand.Text())
	tmp, data := filepath.Join(tmpFolder, e.ID+".data"), filepath.Join(dataFolder, e.ID)
	err := s.write(tmp, "data", func(w *bufio.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
	if err == nil && sign != nil {
		e.Fields, err = s.sign(tmp, sign)
	}
	if err == nil {
		err = s.rename(tmp, data, dataFolder, "data")
	}
	if err == nil {
		err = s.update(e)
	}
	if err != nil {
		_ = s.root.Remove(tmp) // it is in nobody's way
		// An envelope that can't be removed keeps its message: it would be tried for days, and never be read.
		if e := s.root.Remove(filepath.Join(envFolder, e.ID)); e == nil || errors.Is(e, fs.ErrNotExist) {
			_ = s.root.Remove(data) // openSpool does it else
		}
		if own := new(smtp.Error); errors.As(err, &own) {
			return err
		}
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// sign makes the fields in front of a message.
func (s *spool) sign(name string, sign func(io.Reader) ([]byte, error)) ([]byte, error) {
	f, err := s.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fields, err := sign(f)
	if err != nil {
		return nil, fmt.Errorf("the message is not signed: %w", err)
	}
	// A line that is empty or has no end would make text of what follows.
	for line := range bytes.Lines(fields) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.ContainsAny(line[:len(line)-2], "\r\n\x00") || len(line) == 2 {
			return nil, errFields
		}
	}
	if len(fields) > 0 && (fields[0] == ' ' || fields[0] == '\t') {
		return nil, errFields
	}
	return fields, nil
}

// errFields is an Options.Sign that does not keep to what it is for.
var errFields = errors.New("what Sign returns are no fields, each line of which ends in CR LF")

// update writes an envelope anew.
func (s *spool) update(e *envelope) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	tmp := filepath.Join(tmpFolder, e.ID+".env")
	err = s.write(tmp, "env", func(w *bufio.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	return s.rename(tmp, filepath.Join(envFolder, e.ID), envFolder, "env")
}

// write writes a file, to stable storage. what is for the names of the steps.
func (s *spool) write(name, what string, f func(w *bufio.Writer) error) error {
	s.step(what + " is made")
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 32<<10)
	err = f(w)
	if err == nil {
		err = w.Flush()
	}
	s.step(what + " is written")
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	s.step(what + " is synced")
	return err
}

// rename puts a file where it belongs, for good.
func (s *spool) rename(from, to, folder, what string) error {
	if err := s.root.Rename(from, to); err != nil {
		return err
	}
	s.step(what + " is there")
	err := s.sync(folder)
	s.step(what + " is there for good")
	return err
}

// remove forgets a message. It may be called again for one of which a part could not be removed.
func (s *spool) remove(id string) error {
	if err := s.root.Remove(filepath.Join(envFolder, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.step("env is gone")
	if err := s.sync(envFolder); err != nil {
		return err
	}
	s.step("env is gone for good")
	if err := s.root.Remove(filepath.Join(dataFolder, id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// open opens a message, as it came.
func (s *spool) open(id string) (*os.File, error) { return s.root.Open(filepath.Join(dataFolder, id)) }
