package redis

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"net"

	"github.com/redis/go-redis/v9"
)

var (
	//go:embed lua/common.lua
	common string
	//go:embed lua/open.lua
	openText string
	//go:embed lua/delete.lua
	deleteText string
	//go:embed lua/publish.lua
	publishText string
	//go:embed lua/group.lua
	groupText string
	//go:embed lua/fetch.lua
	fetchText string
	//go:embed lua/ack.lua
	ackText string
	//go:embed lua/nak.lua
	nakText string
	//go:embed lua/extend.lua
	extendText string
	//go:embed lua/bury.lua
	buryText string
	//go:embed lua/reap.lua
	reapText string
	//go:embed lua/dead.lua
	deadText string
	//go:embed lua/stats.lua
	statsText string
	//go:embed lua/hello.lua
	helloText string
	//go:embed lua/signs.lua
	signsText string
	//go:embed lua/kv.lua
	kvText string
)

// A script that makes nothing grow runs on a server that is out of memory too: it is how that gets free again.
var (
	openScript    = newScript(openText, "")
	publishScript = newScript(publishText, "")
	groupScript   = newScript(groupText, "")
	deleteScript  = newScript(deleteText, "allow-oom")
	fetchScript   = newScript(fetchText, "allow-oom")
	ackScript     = newScript(ackText, "allow-oom")
	nakScript     = newScript(nakText, "allow-oom")
	extendScript  = newScript(extendText, "allow-oom")
	buryScript    = newScript(buryText, "allow-oom")
	reapScript    = newScript(reapText, "allow-oom")
	deadScript    = newScript(deadText, "allow-oom")
	statsScript   = newScript(statsText, "no-writes")
	helloScript   = newScript(helloText, "allow-oom")
	signsScript   = newScript(signsText, "no-writes")
	kvScript      = newScript(kvText, "")
)

// A script is one of those in the folder lua.
type script struct{ text, hash string }

func newScript(text, flags string) *script {
	s := &script{text: "#!lua flags=" + flags + "\n" + common + text}
	sum := sha1.Sum([]byte(s.text)) // what the server calls a script by; nothing rests on it
	s.hash = hex.EncodeToString(sum[:])
	return s
}

// run runs the script. The server is given its text when it does not have it yet; then nothing was run before.
func (s *script) run(ctx context.Context, c redis.Cmdable, base string, args ...any) *redis.Cmd {
	all := append([]any{base}, args...)
	cmd := c.EvalSha(ctx, s.hash, nil, all...)
	if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		cmd = c.Eval(ctx, s.text, nil, all...)
	}
	return cmd
}

// isReply reports an error that the server has answered.
func isReply(err error) bool {
	var r redis.Error
	return errors.As(err, &r)
}

// refused reports that the server does not let this user in, or do this.
func refused(err error) bool {
	for _, p := range []string{"WRONGPASS", "NOAUTH", "NOPERM", "AUTH", "invalid password", "Client sent AUTH"} {
		if redis.HasErrorPrefix(err, p) {
			return true
		}
	}
	return false
}

// noQueue reports that a script did not find the queue.
func noQueue(err error) bool { return redis.HasErrorPrefix(err, "NOQUEUE") }

// unsent reports an error by which nothing can have reached the server.
func unsent(err error) bool {
	var op *net.OpError
	return errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) ||
		errors.As(err, &op) && op.Op == "dial"
}
