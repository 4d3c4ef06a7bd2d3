package ftp

import "sync/atomic"

// Stats are a server's counts since it began, but for Sessions, which is how many there are now.
type Stats struct {
	Sessions  int64
	Logins    int64
	Transfers int64 // that have succeeded

	// What was refused, or ended.
	FailedLogins int64 // a wrong name or password
	Crowded      int64 // logins beyond Limits.UserSessions
	BadLines     int64 // lines that are too long, or not ended by CR LF, or with a CR or a NUL inside
	BadCommands  int64 // commands that there are not
	Injected     int64 // sessions with bytes that came behind AUTH in plain text
	Bounces      int64 // PORT and EPRT to somebody else, or to a low port
	Strangers    int64 // data connections from another address
	Unbound      int64 // data connections over TLS without a ticket of their session
	Truncated    int64 // uploads over TLS that ended without close_notify
	TimedOut     int64 // sessions that were silent for too long, or did not log in
	Stalled      int64 // transfers that were too slow
	Failed       int64 // transfers that failed otherwise, or were aborted
}

type counters struct {
	sessions, logins, transfers                                     atomic.Int64
	failedLogins, crowded, badLines, badCommands, injected, bounces atomic.Int64
	strangers, unbound, truncated, timedOut, stalled, failed        atomic.Int64
}

// Stats returns the counts.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Sessions: c.sessions.Load(), Logins: c.logins.Load(), Transfers: c.transfers.Load(),
		FailedLogins: c.failedLogins.Load(), Crowded: c.crowded.Load(), BadLines: c.badLines.Load(),
		BadCommands: c.badCommands.Load(), Injected: c.injected.Load(), Bounces: c.bounces.Load(),
		Strangers: c.strangers.Load(), Unbound: c.unbound.Load(), Truncated: c.truncated.Load(),
		TimedOut: c.timedOut.Load(), Stalled: c.stalled.Load(), Failed: c.failed.Load(),
	}
}
