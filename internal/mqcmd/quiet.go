package mqcmd

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Redis's client prints its troubles on standard error by itself, besides returning them as errors.
func init() { redis.SetLogger(silent{}) }

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
