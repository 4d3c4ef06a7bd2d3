package brokers

import "net"

// FreeAddrs are n addresses of 127.0.0.1, each with another port that nobody listened to just now: for programs that
// have to know each other's before they are there, as the nodes of a cluster. Another program may take one meanwhile.
func FreeAddrs(n int) (addrs []string, err error) {
	for range n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close() // when all are found, so that they differ
		addrs = append(addrs, ln.Addr().String())
	}
	return addrs, nil
}
