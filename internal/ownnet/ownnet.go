// Package ownnet runs a test in a network of its own, so that it can have addresses that the machine lacks. It is for
// tests alone.
package ownnet

import "testing"

// LinkLocal is the link-local address that the loopback interface, lo, has in such a network beside its usual ones.
const LinkLocal = "fe80::1"

// variable is the environment variable by which a child knows which test it is to run.
const variable = "PLEXOR_OWN_NETWORK"

// Add gives lo an IPv6 address more, with a prefix of 64 bits. It is for a test that Enter has let go on.
func Add(addr string) error { return add(addr) }

// Enter runs the calling test, a whole one and no part of another, once more in a process of its own whose network
// namespace has a loopback interface and nothing else (network_namespaces(7)). There it returns true. In the first
// process it returns false when that has passed, and the test has nothing left to do; it fails the test, with the
// child's output, or skips it, where the other one did or where there can't be such a network. The child has -short
// where this process has it, ends a little before this one would time out, and has no other flags.
func Enter(t *testing.T) bool {
	t.Helper()
	return enter(t)
}
