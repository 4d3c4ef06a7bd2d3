package uring

import "runtime"

// pinFor keeps what v points to in its place while its address stands in a number that the kernel reads during a call.
func pinFor[T any](v *T) *runtime.Pinner {
	p := new(runtime.Pinner)
	if v != nil {
		p.Pin(v)
	}
	return p
}
