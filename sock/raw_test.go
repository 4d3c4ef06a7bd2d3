//go:build linux && !386 && !s390x

package sock

const rawCalls = true
