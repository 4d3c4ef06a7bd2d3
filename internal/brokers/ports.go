package brokers

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// Ports that systems give to nobody who asks for any: neither to listeners on port 0 nor to connections.
const (
	lowest  = 10_000
	highest = 32_000
)

// FreeAddrs are n addresses of 127.0.0.1, each with another port that nobody listened to just now: for programs that
// have to know each other's before they are there, as the nodes of a cluster. Another program that does as this may
// take one meanwhile; one that takes any port does not.
func FreeAddrs(n int) (addrs []string, err error) {
	for tries := 0; len(addrs) < n; tries++ {
		if tries == highest-lowest {
			return nil, fmt.Errorf("brokers: %d ports between %d and %d are not free", n, lowest, highest)
		}
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", lowest+rand.IntN(highest-lowest)))
		if err != nil {
			continue // it is taken
		}
		defer ln.Close() // when all are found, so that they differ
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}
