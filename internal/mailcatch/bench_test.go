package mailcatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkDeliver is mails of 1 KiB into the store, by ten times as many as there are processors, with and without
// fsync.
func BenchmarkDeliver(b *testing.B) {
	mail := text("hello", strings.Repeat(strings.Repeat("x", 70)+"\n", 13))
	for _, noSync := range []bool{true, false} {
		b.Run(fmt.Sprint("sync=", !noSync), func(b *testing.B) {
			s := openStore(b, b.TempDir(), Options{DropOldest: true, Limits: Limits{Messages: 1 << 20}})
			s.options.NoSync = noSync
			b.SetParallelism(10)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := s.Deliver(context.Background(), someone("a@b.example"), strings.NewReader(mail)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
