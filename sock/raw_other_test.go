//go:build (linux && (386 || s390x)) || darwin || freebsd || netbsd || openbsd

package sock

const rawCalls = false
