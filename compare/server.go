package compare

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/plexor-go/plexor/models"
	"github.com/plexor-go/plexor/sock"
)

// greeting is what the process of a model prints before its address.
const greeting = "serving "

// A server's process counts its answers in memory that it shares with whoever measures: it has it as this descriptor,
// if the environment variable is there.
const (
	countKey  = "PLEXOR_COMPARE_COUNT"
	countFile = 3
)

// ServeModel is the server's process: it serves the model on a free port of this machine, says on out where, and ends
// when in does. So it also ends when whoever started it is killed.
func ServeModel(ctx context.Context, m models.Model, s models.Service, clients int, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is all that matters
		cancel(nil)
	}()
	var count *models.Counter
	if os.Getenv(countKey) != "" {
		var err error
		if count, err = models.OpenCounter(os.NewFile(countFile, "counter")); err != nil {
			return err
		}
		defer count.Close()
	}
	err := m.Serve(ctx, models.Job{
		Counter: count,
		Addr:    sock.Addr{Scheme: "tcp", Host: "127.0.0.1"},
		Service: s,
		Clients: clients,
		Log:     slog.New(slog.DiscardHandler),
		Ready: func(a sock.Addr) {
			if _, err := fmt.Fprintf(out, "%s%s\n", greeting, a); err != nil {
				cancel(fmt.Errorf("compare: say where %s serves: %w", m.Name, err))
			}
		},
	})
	if err == nil && context.Cause(ctx) != context.Canceled {
		err = context.Cause(ctx)
	}
	return err
}

// Bounds of waiting for processes. They are far longer than anything takes that works.
const (
	startLimit = 30 * time.Second
	stopLimit  = 10 * time.Second
	loadLimit  = 30 * time.Second // on top of the duration
)

// A server is the running process of a model.
type server struct {
	cmd   *exec.Cmd
	stdin io.Closer
	said  *tail
	addr  string
	ended chan struct{}
	count *models.Counter // nil: there is none on this system
}

// start starts the process and waits until it serves.
func start(ctx context.Context, cmd *exec.Cmd) (*server, error) {
	s := &server{cmd: cmd, said: &tail{}, ended: make(chan struct{})}
	cmd.Stderr = s.said
	// What a terminal sends to the foreground is for this program alone, which ends its processes itself.
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = in
	if s.count, err = models.NewCounter(); err == nil {
		cmd.ExtraFiles = []*os.File{s.count.File()}
		cmd.Env = append(cmd.Environ(), countKey+"=1")
	} else if !errors.Is(err, errors.ErrUnsupported) {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		s.closeCount()
		return nil, err
	}
	lines := make(chan string, 1)
	go func() {
		defer close(s.ended)
		r := bufio.NewReader(out)
		line, _ := r.ReadString('\n') // a process that says nothing has its reason on standard error
		lines <- line
		_, _ = io.Copy(io.Discard, r)
		_ = cmd.Wait() // stop looks at how it ended
	}()
	select {
	case line := <-lines:
		var ok bool
		if s.addr, ok = strings.CutPrefix(strings.TrimSpace(line), greeting); ok {
			return s, nil
		}
		<-s.ended
		s.closeCount()
		return nil, fmt.Errorf("it did not start: %s", s.said.or(s.cmd.ProcessState.String()))
	case <-time.After(startLimit):
		err = fmt.Errorf("it did not serve within %v", startLimit)
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.kill()
	s.closeCount()
	return nil, err
}

func (s *server) closeCount() {
	if s.count != nil {
		_ = s.count.Close() // its memory is gone either way
	}
}

// stop ends the process and says what was wrong with it.
func (s *server) stop() error {
	defer s.closeCount()
	_ = s.stdin.Close() // it may have ended by itself
	select {
	case <-s.ended:
	case <-time.After(stopLimit):
		s.kill()
		return fmt.Errorf("it did not end within %v, and was killed", stopLimit)
	}
	if !s.cmd.ProcessState.Success() {
		return fmt.Errorf("it ended with %v: %s", s.cmd.ProcessState, s.said.or("without a word"))
	}
	return nil
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended by itself
	_ = s.stdin.Close()
	<-s.ended
}

// A tail keeps the beginning of what a process said on standard error.
type tail struct{ said []byte }

const mostSaid = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.said = append(t.said, p[:min(len(p), mostSaid-len(t.said))]...)
	return len(p), nil
}

// last is the last line that was said, or else instead: before it may stand how far the process had come.
func (t *tail) last(instead string) string {
	lines := strings.Split(strings.TrimSpace(string(t.said)), "\n")
	if s := lines[len(lines)-1]; s != "" {
		return s
	}
	return instead
}

// or is what was said, in one line, or else instead.
func (t *tail) or(instead string) string {
	if s := strings.TrimSpace(string(t.said)); s != "" {
		return strings.ReplaceAll(s, "\n", "; ")
	}
	return instead
}
