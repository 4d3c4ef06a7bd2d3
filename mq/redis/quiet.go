package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// The library prints its troubles on standard error, a line for each connection that fails, besides returning them as
// errors: so a server that is gone would fill a disk. A program that wants these lines, for another use that it makes
// of the library, calls redis.SetLogger itself.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
