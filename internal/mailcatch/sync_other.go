//go:build !unix

package mailcatch

import "os"

// syncDir does nothing: a directory can't be synced here, and a rename is in the journal of the file system.
func syncDir(*os.File) error { return nil }
