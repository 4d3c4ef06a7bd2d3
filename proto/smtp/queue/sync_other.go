//go:build !unix

package queue

// sync does nothing: where folders can't be synced, the file system keeps their order by itself (NTFS has a journal).
func (s *spool) sync(string) error { return nil }
