//go:build !unix

package leak

// countFiles does not know.
func countFiles() int { return 0 }
