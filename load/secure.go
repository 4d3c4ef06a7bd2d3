package load

func openSecure(s *session) { s.w.loop.Soon(func() { s.failed(errClosed) }) }
