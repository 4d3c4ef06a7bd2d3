package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/coro"
	"github.com/plexor-go/plexor/loop"
	"github.com/plexor-go/plexor/proto/http1"
	"github.com/plexor-go/plexor/web"
)

type getCmd struct {
	Header   []string      `short:"H" sep:"none" placeholder:"NAME: VALUE" help:"A field of each request; may be given again."`
	Method   string        `short:"X" placeholder:"METHOD" help:"The method (default GET, or POST with --body)."`
	Body     *string       `placeholder:"TEXT" help:"The body of each request."`
	Out      string        `short:"o" placeholder:"DIR" help:"Write each answer's body into a file of this folder, named after its URL; - writes the body of the only URL to standard output. Without it bodies are read and dropped."`
	JSON     bool          `name:"json" help:"Print a line of JSON for each URL as it comes, in place of the table."`
	Parallel int           `default:"64" placeholder:"N" help:"How many URLs are fetched at once (default ${default})."`
	MostBody int64         `default:"1073741824" placeholder:"BYTES" help:"How long a body may be (default ${default})."`
	Timeout  time.Duration `default:"1m" placeholder:"1m" help:"How long a URL may take, with redirects and the body (default ${default}); 0 is for ever."`
	Insecure bool          `help:"Trust any certificate."`
	H1       bool          `name:"h1" help:"Speak HTTP/1.1 alone; otherwise HTTP/2 where a server over TLS has it, which is net/http's and costs goroutines."`
	Driver   string        `default:"auto" placeholder:"NAME" help:"What the loop waits on: auto, or one that 'plexor drivers' lists."`
	Quiet    bool          `short:"q" help:"Show no progress."`
	URL      []string      `arg:"" help:"http:// or https:// addresses, or those of FTP: ftp:// in plain text, ftpes:// with AUTH TLS, ftps:// with TLS from the first byte; a path that ends with a slash lists a folder. The environment's proxies are used (HTTP_PROXY, HTTPS_PROXY, NO_PROXY)."`
}

// Run fetches the URLs on one thread, and fails if one had no answer, or one of status 400 or above. The first SIGINT
// or SIGTERM ends what is under way and prints what there is.
func (g *getCmd) Run(c *console) error {
	r := &getRun{cmd: g, c: c, most: g.Parallel}
	if err := r.parse(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if g.Out != "" && g.Out != "-" {
		if err := os.MkdirAll(g.Out, 0o777); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		root, err := os.OpenRoot(g.Out)
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		defer root.Close()
		r.root = root
	}
	r.begun = time.Now()
	r.told = r.begun
	err := plexor.RunOn(ctx, loop.Options{Driver: g.Driver, Log: slog.New(slog.NewTextHandler(c.err, nil))}, r.fetchAll)
	if errors.Is(err, loop.ErrUnknownDriver) {
		return usagef("--driver=%s: %w", g.Driver, err)
	}
	r.clear()
	return errors.Join(err, r.report())
}

// A getRun is one run of the command. All of it belongs to the loop.
type getRun struct {
	cmd     *getCmd
	c       *console
	header  http.Header
	host    string
	most    int
	client  *http.Client
	root    *os.Root
	begun   time.Time
	told    time.Time // progress was
	fetches []*getFetch
	next    int // the first that has not begun
	done    int
	failed  int
	names   map[string]bool
}

// parse looks at the command line.
func (r *getRun) parse() error {
	g := r.cmd
	switch {
	case g.Parallel < 1 || g.Parallel > 16384:
		return usagef("--parallel=%d: want 1 to 16384", g.Parallel)
	case g.MostBody < 1:
		return usagef("--most-body=%d: want at least 1", g.MostBody)
	case g.Timeout < 0:
		return usagef("--timeout=%v: want a duration that is not negative", g.Timeout)
	case g.Out == "-" && (len(g.URL) > 1 || g.JSON):
		return usagef("--out=-: it is for one URL, without --json")
	}
	if g.Method == "" {
		if g.Method = http.MethodGet; g.Body != nil {
			g.Method = http.MethodPost
		}
	}
	r.header = make(http.Header)
	for _, h := range g.Header {
		name, value, ok := strings.Cut(h, ":")
		value = strings.TrimSpace(value)
		if _, err := http1.AppendField(nil, name, value); !ok || err != nil {
			return usagef("--header=%q: want NAME: VALUE", h)
		}
		if strings.EqualFold(name, "Host") {
			r.host = value
			continue
		}
		r.header.Add(name, value)
	}
	for _, s := range g.URL {
		u, err := url.Parse(s)
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // the line has the URL already
		}
		f := &getFetch{URL: s}
		switch {
		case err == nil && u.Host != "" && ftpSchemes[u.Scheme].port != "":
			f, err = r.parseFTP(u)
		case !strings.Contains(s, "://") || err == nil && (u.Scheme != "http" && u.Scheme != "https" || u.Host == ""):
			err = errors.New("want http://host/path or https://host/path, or ftp, ftps or ftpes in that place")
		}
		if err != nil {
			return usagef("%q: %w", s, err)
		}
		r.fetches = append(r.fetches, f)
	}
	if _, err := http.NewRequest(g.Method, "http://a/", nil); err != nil {
		return usagef("--method=%s: %w", g.Method, err)
	}
	return nil
}

// fetchAll is the coroutine's part.
func (r *getRun) fetchAll(ctx context.Context) error {
	g := r.cmd
	transport, err := web.NewClient(ctx, web.ClientOptions{
		Proxy: http.ProxyFromEnvironment, HTTP2: !g.H1, TLS: &tls.Config{InsecureSkipVerify: g.Insecure},
		ConnsPerHost: g.Parallel, MostBody: g.MostBody, MostInflated: g.MostBody,
	})
	if err != nil {
		return err
	}
	defer transport.Close()
	r.client = &http.Client{Transport: transport}
	return coro.Group(ctx, func(t *coro.Tasks) error {
		for range min(g.Parallel, len(r.fetches)) {
			t.Go(func(ctx context.Context) error {
				for r.next < len(r.fetches) && ctx.Err() == nil {
					f := r.fetches[r.next]
					r.next++
					r.fetch(ctx, f)
					if err := r.tell(f); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return nil
	})
}

// fetch fetches one.
func (r *getRun) fetch(ctx context.Context, f *getFetch) {
	f.begin(r.begun)
	err := func() error {
		if r.cmd.Timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = coro.WithTimeout(ctx, r.cmd.Timeout)
			defer cancel()
		}
		if f.ftp != nil {
			return r.fetchFTP(ctx, f)
		}
		ctx = httptrace.WithClientTrace(ctx, f.trace())
		var body io.Reader
		if r.cmd.Body != nil {
			body = strings.NewReader(*r.cmd.Body)
		}
		req, err := http.NewRequestWithContext(ctx, r.cmd.Method, f.URL, body)
		if err != nil {
			return err
		}
		req.Header = r.header.Clone()
		if req.Host = r.host; r.host == "" {
			req.Host = req.URL.Host
		}
		resp, err := r.client.Do(req)
		if err != nil {
			if e, ok := errors.AsType[*url.Error](err); ok {
				err = e.Err // the line has the URL already
			}
			return err
		}
		defer resp.Body.Close()
		f.Status, f.Proto = resp.StatusCode, resp.Proto
		return r.take(ctx, f, resp.Body)
	}()
	if f.end(); err != nil {
		f.Err = oneLine(err)
	}
	if r.done++; f.Err != "" || f.Status >= 400 {
		r.failed++
	}
}

// tell shows progress, and the line of JSON.
func (r *getRun) tell(f *getFetch) error {
	if r.cmd.JSON {
		if err := json.NewEncoder(r.c.out).Encode(f); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
	}
	line := fmt.Sprintf("%d of %d, %d failed", r.done, len(r.fetches), r.failed)
	switch {
	case r.cmd.Quiet:
	case isTerminal(r.c.err):
		fmt.Fprintf(r.c.err, "\r\x1b[K%s %s", progressBar(float64(r.done)/float64(len(r.fetches))), line)
	case time.Since(r.told) >= plainEvery:
		r.told = time.Now()
		fmt.Fprintln(r.c.err, line)
	}
	return nil
}

func (r *getRun) clear() {
	if !r.cmd.Quiet && isTerminal(r.c.err) {
		fmt.Fprint(r.c.err, "\r\x1b[K")
	}
}

// report prints the table and the summary.
func (r *getRun) report() error {
	if !r.cmd.JSON {
		to := r.c.out
		if r.cmd.Out == "-" {
			to = r.c.err
		}
		if err := printWaterfall(to, r.fetches[:r.next]); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
	}
	if r.failed > 0 || r.done < len(r.fetches) {
		return fmt.Errorf("%d of %d failed, and %d were not fetched", r.failed, len(r.fetches), len(r.fetches)-r.done)
	}
	return nil
}
