package load

func openPackets(s *session) { s.w.loop.Soon(func() { s.failed(errClosed) }) }
