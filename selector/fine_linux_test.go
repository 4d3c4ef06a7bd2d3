package selector

// fine says whether the wait takes microseconds or less.
func fine(s *Selector) bool {
	if e, ok := s.backend.(*epoll); ok {
		return e.wait2
	}
	return true
}
