package plexor_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor"
	"github.com/plexor-go/plexor/frame"
)

// tool is a program of the system, with a deadline; without it the test is skipped.
func tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed here", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, args...)
}

// caFile writes the authority's certificate to a file.
func (a *authority) caFile() string {
	a.t.Helper()
	name := filepath.Join(a.t.TempDir(), "ca.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}),
		0o600); err != nil {
		a.t.Fatal(err)
	}
	return name
}

// TestOpenSSL: openssl s_client, with each version, a new session and a resumed one, and a KeyUpdate that the server
// answers.
func TestOpenSSL(t *testing.T) {
	beside(t)
	lines := plexor.HandlerFunc(func(c *plexor.Conn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			fmt.Fprintf(c, "resumed=%v %s", c.ConnectionState().DidResume, strings.ToUpper(line))
			if line == "bye\n" {
				return
			}
		}
	})
	messages := plexor.Messages(frame.Line{}, func(c *plexor.Conn, msg []byte) error {
		err := c.Send(fmt.Appendf(nil, "resumed=%v %s", c.ConnectionState().DidResume, strings.ToUpper(string(msg))))
		if err == nil && string(msg) == "bye" {
			err = c.Close()
		}
		return err
	})
	for _, row := range []struct {
		v, name string
		h       plexor.Handler
	}{
		{"-tls1_2", "a stream", lines}, {"-tls1_3", "a stream", lines},
		{"-tls1_2", "messages", messages}, {"-tls1_3", "messages", messages},
	} {
		v := row.v
		t.Run(v+"/"+row.name, func(t *testing.T) {
			eachDriver(t, func(t *testing.T, driver string) {
				b := serveTLS(t, driver, &plexor.Server{}, nil, row.h)
				session := filepath.Join(t.TempDir(), "session")
				args := []string{"s_client", v, "-connect", b.addr.String(), "-CAfile", b.ca.caFile(), "-verify_return_error",
					"-verify_hostname", "plexor.test", "-servername", "plexor.test"}
				for i, more := range [][]string{{"-sess_out", session}, {"-sess_in", session}} {
					cmd := tool(t, "openssl", append(args, more...)...)
					in, err := cmd.StdinPipe()
					if err != nil {
						t.Fatal(err)
					}
					out, err := cmd.StdoutPipe()
					if err != nil {
						t.Fatal(err)
					}
					stderr := &logBook{more: make(chan struct{})}
					cmd.Stderr = stderr
					if err := cmd.Start(); err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() {
						_ = cmd.Process.Kill() // if it has not ended
						_ = cmd.Wait()
					})
					var got bytes.Buffer
					r := bufio.NewReader(io.TeeReader(out, &got))
					for _, line := range []string{"hello", "K", "again", "bye"} {
						if line == "K" && v == "-tls1_2" {
							continue
						}
						fmt.Fprintln(in, line)
						if line == "K" {
							stderr.says(t, "KEYUPDATE") // s_client's command for one that asks for another in return
							continue
						}
						for {
							s, err := r.ReadString('\n')
							if err != nil {
								t.Fatalf("no answer to %q: %v\n%s\n%s", line, err, got.String(), stderr.text())
							}
							if s == fmt.Sprintf("resumed=%v %s\n", i == 1, strings.ToUpper(line)) {
								break
							}
						}
					}
					rest, _ := io.ReadAll(r)
					in.Close()
					if err := cmd.Wait(); err != nil {
						t.Errorf("s_client: %v\n%s%s\n%s", err, got.String(), rest, stderr.text())
					}
				}
			})
		})
	}
}

// TestCurl: curl gets a page from a handler of a few lines, by HTTP over TLS, and a word on what is wrong without.
func TestCurl(t *testing.T) {
	beside(t)
	eachDriver(t, func(t *testing.T, driver string) {
		b := serveTLS(t, driver, &plexor.Server{}, &tls.Config{NextProtos: []string{"http/1.1"}},
			plexor.HandlerFunc(func(c *plexor.Conn) {
				r := bufio.NewReader(c)
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					body := fmt.Sprintf("%s %s by %s", req.Method, req.URL, tls.VersionName(c.ConnectionState().Version))
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				}
			}))
		_, port, err := net.SplitHostPort(b.addr.String())
		if err != nil {
			t.Fatal(err)
		}
		host := "plexor.test:" + port
		for _, row := range []struct{ url, want string }{
			{"https://" + host + "/x", "GET /x by TLS 1.3"},
			{"http://" + host + "/x", "https://"},
		} {
			cmd := tool(t, "curl", "-sS", "--noproxy", "*", "--cacert", b.ca.caFile(), "--resolve", host+":127.0.0.1", row.url)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), row.want) {
				t.Errorf("curl %s: %q, %v; want %q", row.url, out, err, row.want)
			}
		}
	})
}
