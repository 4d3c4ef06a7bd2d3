package sock

// OpenBSD has neither keep-alive times for a single socket nor IPv4 over IPv6 sockets.
var system = features{reusePort: true, mode: true, trafficClass: true}

const (
	tcpKeepIdle     = 0
	tcpKeepInterval = 0
	tcpKeepCount    = 0
)
