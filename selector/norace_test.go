//go:build !race && (linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package selector

const raceEnabled = false
