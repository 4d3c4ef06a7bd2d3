package sock

import "golang.org/x/sys/unix"

var system = features{reusePort: true, keepTimes: true, mode: true, dualStack: true, trafficClass: true}

const (
	tcpKeepIdle     = unix.TCP_KEEPIDLE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
)
