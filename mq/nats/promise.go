package nats

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/plexor-go/plexor/internal/natsnode"
)

// A promise is what the process that serves a folder tells the others: with which parameters it does. It lies beside
// the socket, and is there before it. The others were told by their own URL what to expect: whether each job is synced,
// say. So one that has other parameters is refused.
//
// A process that comes in by one server's socket and reads the promise of the next one is put out with the first.
type promise struct {
	Sync   bool   // each job is synced
	Store  int64  // bytes
	Memory int64  // bytes
	Listen string // "": there is no port
}

const promiseName = "promise" // in the folder of the door

// errOther is a server with other parameters.
var errOther = errors.New("another process serves it with other parameters")

func promiseOf(o natsnode.Options) promise {
	return promise{Sync: o.SyncAlways, Store: o.Limits.Store, Memory: o.Limits.Memory, Listen: o.Client}
}

// write has others read the promise, as a whole or not at all.
func (p promise) write(folder string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	name := filepath.Join(folder, promiseName)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

// check compares the promise of the process that serves a folder of data with what is wanted.
func (p promise) check(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, doorFolder, promiseName))
	if err != nil {
		return fmt.Errorf("nats: %s: %w: it does not say which: end it first: %w", dir, errOther, err)
	}
	var there promise
	if err := json.Unmarshal(b, &there); err != nil {
		return fmt.Errorf("nats: %s: %w: what it says is damaged: end it first: %w", dir, errOther, err)
	}
	if there != p {
		return fmt.Errorf("nats: %s: %w: it has %s, and this URL %s: give both the same, or end it first", dir, errOther,
			there.url(dir), p.url(dir))
	}
	return nil
}

// url is how an URL asks for it. What is as it is by default is left out.
func (p promise) url(dir string) string {
	v := url.Values{}
	if !p.Sync {
		v.Set("sync", "off")
	}
	if p.Store != embeddedStore {
		v.Set("store", strconv.FormatInt(p.Store, 10))
	}
	if p.Memory != embeddedMemory {
		v.Set("memory", strconv.FormatInt(p.Memory, 10))
	}
	if p.Listen != "" {
		v.Set("listen", p.Listen)
	}
	u := url.URL{Scheme: "nats+embedded", Path: filepath.ToSlash(dir), RawQuery: v.Encode()}
	return u.String()
}
