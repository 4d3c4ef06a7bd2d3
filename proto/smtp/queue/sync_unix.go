//go:build unix

package queue

// sync has what was made, renamed or removed in a folder be so on stable storage.
func (s *spool) sync(folder string) error {
	d, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	err = d.Sync()
	if e := d.Close(); err == nil {
		err = e
	}
	return err
}
