package frame

import "math/rand/v2"

// A TestSubject is a codec of this package for the suite, which lies outside of it.
type TestSubject struct {
	Name    string
	Codec   Codec
	Message func(r *rand.Rand, n int) []byte
}

// Subjects are the codecs that the suite is run on.
func Subjects() (all []TestSubject) {
	for _, s := range subjects() {
		all = append(all, TestSubject{s.name, s.codec, s.message})
	}
	return all
}
