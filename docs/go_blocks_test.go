package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/plexor-go/plexor/internal/built"
)

// goBlocks are the blocks of Go of pages, by page and number, each as a whole file: what a reader has around it comes
// before and behind.
var goBlocks = map[string][2]string{
	"docs/mail.md 1": {`package mail

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

func TestSignUp(t *testing.T) {
	var user struct{ Email string }
`, `	_ = mail.Links
}
`},
	"docs/jobs.md 1": {`package jobs

import (
	"context"
	"errors"

	"github.com/plexor-go/plexor/mq"
	_ "github.com/plexor-go/plexor/mq/nats"
)

func work(ctx context.Context, body []byte, send func(context.Context, []byte) error) error {
	if ctx.Err() != nil {
		return errors.New("over")
	}
`, `	return errors.Join(err, b.Close())
}
`},
	"docs/rooms.md 1": {`package rooms

import (
	"testing"

	"github.com/plexor-go/plexor/bus"
	"github.com/plexor-go/plexor/proto/websocket"
)

func TestAudience(t *testing.T) {
	if _, err := audience(bus.Room{}); err != nil {
		t.Log(err)
	}
}

`, ""},
	"docs/jobs.md 2": {`package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/plexor-go/plexor/mq"
)

func open(ctx context.Context, b *mq.Broker) (*mq.Queue, error) {
`, `	if errors.As(err, &lack) {
		return nil, lack
	}
	return q, err
}
`},
	"docs/jobs.md 3": {`package jobs

import (
	"context"
	"time"

	"github.com/plexor-go/plexor/mq"
	"github.com/plexor-go/plexor/proc"
)

`, ""},
}

// TestGoBlocks: what pages have as Go compiles, and go vet finds nothing in it.
func TestGoBlocks(t *testing.T) {
	t.Parallel()
	exe, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	pages, err := filepath.Glob(filepath.Join(repo, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("%q, %v", pages, err)
	}
	// In the tree, so that the page's imports of ours are found; a folder for each, so that one call looks at them all.
	dir, err := blocksDir()
	if err != nil {
		t.Skipf("go vet needs a folder in the tree: %v", err)
	}
	defer os.RemoveAll(dir)
	seen := make(map[string]bool)
	args := []string{"vet"}
	where := make(map[string]string) // by folder
	for _, path := range pages {
		p := read(t, strings.TrimPrefix(filepath.ToSlash(path), repo+"/"))
		n := 0
		for _, b := range p.blocks {
			if b.lang != "go" {
				continue
			}
			n++
			key := fmt.Sprint(p.path, " ", n)
			around, ok := goBlocks[key]
			if !ok {
				t.Errorf("%s:%d: goBlocks has nothing for %q", p.path, b.line, key)
				continue
			}
			seen[key] = true
			folder := filepath.Join(dir, fmt.Sprint(len(seen)))
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			text := []byte(around[0] + b.text + around[1])
			if err := os.WriteFile(filepath.Join(folder, "page_test.go"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, folder)
			where[folder] = fmt.Sprint(p.path, ":", b.line)
		}
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir = repo
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\nThe folders are %q", err, out, where)
	}
	for key := range goBlocks {
		if !seen[key] {
			t.Errorf("there is no block %q", key)
		}
	}
}

// blocksDir makes a folder in the tree that git ignores.
func blocksDir() (string, error) {
	top, err := filepath.Abs(filepath.Join(repo, built.Folder))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(top, 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(top, "blocks")
}
