package ftp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"path"
	"strings"
	"time"
)

// Size is how many bytes a file has.
func (c *Client) Size(ctx context.Context, path string) (n int64, err error) {
	err = c.watch(ctx, func() error {
		if c.typ != 'I' { // in TYPE A it would be another number, or none
			if _, err := c.want(2, "TYPE", "I"); err != nil {
				return err
			}
			c.typ = 'I'
		}
		r, err := c.want(2, "SIZE", path)
		if err != nil {
			return err
		}
		size, ok := decimal(strings.TrimSpace(r.Lines[0]), 1<<63-1)
		if n = int64(size); !ok {
			return &Error{"SIZE", r}
		}
		return nil
	})
	return n, err
}

// ModTime is when a file was written last.
func (c *Client) ModTime(ctx context.Context, path string) (time.Time, error) {
	r, err := c.done(ctx, 2, "MDTM", path)
	if err != nil {
		return time.Time{}, err
	}
	t, err := ParseTime(strings.TrimSpace(r.Lines[0]))
	if err != nil {
		return t, &Error{"MDTM", r}
	}
	return t, nil
}

// SetModTime sets that, in seconds, by MFMT: Feature("MFMT") tells whether the server has it.
func (c *Client) SetModTime(ctx context.Context, path string, t time.Time) error {
	_, err := c.done(ctx, 2, "MFMT", string(AppendTime(nil, t))+" "+path)
	return err
}

// Stat tells of one file or folder, by MLST. errors.ErrUnsupported: the server has none.
func (c *Client) Stat(ctx context.Context, path string) (Entry, error) {
	if !c.mlsd {
		return Entry{}, fmt.Errorf("ftp: the server has no MLST: %w", errors.ErrUnsupported)
	}
	r, err := c.done(ctx, 2, "MLST", path)
	if err != nil {
		return Entry{}, err
	}
	for _, line := range r.Lines {
		if line, ok := strings.CutPrefix(line, " "); ok {
			return ParseFacts(line)
		}
	}
	return Entry{}, &Error{"MLST", r}
}

// Getwd is the current folder, and Chdir makes another one that.
func (c *Client) Getwd(ctx context.Context) (string, error) {
	r, err := c.done(ctx, 2, "PWD", "")
	if err != nil {
		return "", err
	}
	p, ok := unquoted(r.Lines[0])
	if !ok {
		return "", &Error{"PWD", r}
	}
	return p, nil
}

// Chdir makes another folder the current one.
func (c *Client) Chdir(ctx context.Context, path string) error {
	_, err := c.done(ctx, 2, "CWD", path)
	return err
}

// Mkdir makes a folder.
func (c *Client) Mkdir(ctx context.Context, path string) error {
	_, err := c.done(ctx, 2, "MKD", path)
	return err
}

// Rmdir removes an empty folder.
func (c *Client) Rmdir(ctx context.Context, path string) error {
	_, err := c.done(ctx, 2, "RMD", path)
	return err
}

// Remove removes a file.
func (c *Client) Remove(ctx context.Context, path string) error {
	_, err := c.done(ctx, 2, "DELE", path)
	return err
}

// Rename gives a file or folder another name.
func (c *Client) Rename(ctx context.Context, from, to string) error {
	return c.watch(ctx, func() error {
		if _, err := c.want(3, "RNFR", from); err != nil {
			return err
		}
		_, err := c.want(2, "RNTO", to)
		return err
	})
}

// Noop does nothing, so that the server does not take the client for gone.
func (c *Client) Noop(ctx context.Context) error {
	_, err := c.done(ctx, 2, "NOOP", "")
	return err
}

// errStop is who ranges over a listing and has seen enough.
var errStop = errors.New("ftp: enough was seen")

// Entries are those of a folder, as they come: by MLSD where the server has it, else by LIST, whose form is guessed. An
// error is the last pair. What is the folder itself, and its parent, is left out, and so is a name with a slash: it
// would be elsewhere. The Client can't be used inside the loop. To leave the loop early aborts the transfer.
func (c *Client) Entries(ctx context.Context, path string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := c.entries(ctx, path, func(e Entry) error {
			if !yield(e, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

// ReadDir is Entries in a slice.
func (c *Client) ReadDir(ctx context.Context, path string) (all []Entry, err error) {
	err = c.entries(ctx, path, func(e Entry) error {
		all = append(all, e)
		return nil
	})
	return all, err
}

func (c *Client) entries(ctx context.Context, path string, each func(Entry) error) error {
	now := time.Now
	if c.o.Now != nil {
		now = c.o.Now
	}
	if c.mlsd {
		return c.list(ctx, "MLSD", path, func(line string) error { return keep(ParseFacts(line))(each) })
	}
	return c.list(ctx, "LIST", path, func(line string) error { return keep(ParseLIST(line, now()))(each) })
}

// keep calls each for an entry that is one of the folder's own.
func keep(e Entry, err error) func(each func(Entry) error) error {
	return func(each func(Entry) error) error {
		if err != nil || e.Self || e.Name == "." || e.Name == ".." || strings.ContainsAny(e.Name, "/\\") {
			return nil
		}
		return each(e)
	}
}

// Names are those that NLST has, as the server writes them: with the folder in front or without.
func (c *Client) Names(ctx context.Context, path string) (names []string, err error) {
	err = c.list(ctx, "NLST", path, func(line string) error {
		if line != "." && line != ".." {
			names = append(names, line)
		}
		return nil
	})
	return names, err
}

// list has a listing come, line by line.
func (c *Client) list(ctx context.Context, name, arg string, each func(line string) error) error {
	return c.transfer(ctx, 'A', name, arg, 0, func(nc net.Conn) error {
		r := bufio.NewReaderSize(c.stall(ctx, nc), c.o.Limits.Line)
		for n := 0; ; n++ {
			line, err := r.ReadSlice('\n')
			if len(line) > 0 && err != bufio.ErrBufferFull {
				if n >= c.o.Limits.Entries {
					return ErrReplyTooLong
				}
				if err := each(strings.TrimRight(string(line), "\r\n")); err != nil {
					return err
				}
			}
			switch {
			case err == io.EOF:
				return nil
			case err == bufio.ErrBufferFull:
				return ErrReplyTooLong
			case err != nil:
				return err
			}
		}
	})
}

// Walk calls each for all below a folder, folders before what is in them, and does not follow links. An error of each
// ends it. It is Limits.Depth deep at most, behind which a folder is told and not looked into.
func (c *Client) Walk(ctx context.Context, folder string, each func(path string, e Entry) error) error {
	return c.walk(ctx, folder, c.o.Limits.Depth, each)
}

func (c *Client) walk(ctx context.Context, folder string, depth int, each func(path string, e Entry) error) error {
	entries, err := c.ReadDir(ctx, folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := path.Join(folder, e.Name)
		if err := each(p, e); err != nil {
			return err
		}
		if e.Dir && !e.Link && depth > 1 {
			if err := c.walk(ctx, p, depth-1, each); err != nil {
				return err
			}
		}
	}
	return nil
}
