package ftp

import "time"

// Limits bound what a client may do. A zero field is its default; a negative time is none at all.
type Limits struct {
	// Line is the longest line of a command, in bytes with its end (default 2048): a path of Path bytes, doubled IACs and
	// a name. A longer one is answered with 500, and ends the session.
	Line int
	// Path is the longest path, in bytes (default 1024), and Depth how many names it may have (default 64), for each
	// costs a system call. More is 553.
	Path, Depth int
	// Entries is how many entries a listing has at most (default 1,000,000), and StatEntries one on the control connection
	// (STAT with a path; default 1000), which is held in memory. The rest is left out; STAT says so.
	Entries, StatEntries int
	// Tries is how many logins may fail before the session ends with 421 (default 3): guessing costs a connection.
	Tries int
	// Errors is how many commands in a row may be none (default 20) before the session ends with 421: who speaks another
	// protocol here is not served for ever.
	Errors int
	// UserSessions is how many sessions a user has at once (default: as many as there are connections, for everybody may
	// be the same anonymous one). The next login is 421.
	UserSessions int

	// LoginTime is how long a client may take to log in (default 1 minute), handshake included.
	LoginTime time.Duration
	// IdleTime is how long a session may wait for its next command (default 5 minutes, RFC 1123, section 4.1.3.2). Pieces
	// of a command are none.
	IdleTime time.Duration
	// DataWait is how long a transfer waits for its data connection and its handshake (default 30 s).
	DataWait time.Duration
	// StallTime is how long a data connection may stand still (default 1 minute), and LeastRate how many bytes a second
	// it has to have moved in all (default 512; negative: none; half of User.Rate, if that is less). Else the transfer is
	// 426.
	StallTime time.Duration
	LeastRate int
	// WriteTime is how long a reply may wait for the client to take it (default 30 s).
	WriteTime time.Duration
	// FailDelay is how long the answer to a login that failed waits (default 1 s).
	FailDelay time.Duration
}

// The defaults.
const (
	defaultLine        = 2048
	defaultPath        = 1024
	defaultDepth       = 64
	defaultEntries     = 1_000_000
	defaultStatEntries = 1000
	defaultTries       = 3
	defaultErrors      = 20
	defaultLoginTime   = time.Minute
	defaultIdleTime    = 5 * time.Minute
	defaultDataWait    = 30 * time.Second
	defaultStallTime   = time.Minute
	defaultLeastRate   = 512
	defaultWriteTime   = 30 * time.Second
	defaultFailDelay   = time.Second
)

// WithDefaults is l with its zero fields filled, and those that are negative 0 where that means none.
func (l Limits) WithDefaults() Limits {
	for _, f := range [...]struct {
		v *int
		d int
	}{
		{&l.Line, defaultLine}, {&l.Path, defaultPath}, {&l.Depth, defaultDepth}, {&l.Entries, defaultEntries},
		{&l.StatEntries, defaultStatEntries}, {&l.Tries, defaultTries}, {&l.Errors, defaultErrors},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	for _, f := range [...]struct {
		v *time.Duration
		d time.Duration
	}{
		{&l.LoginTime, defaultLoginTime}, {&l.IdleTime, defaultIdleTime}, {&l.DataWait, defaultDataWait},
		{&l.StallTime, defaultStallTime}, {&l.WriteTime, defaultWriteTime}, {&l.FailDelay, defaultFailDelay},
	} {
		if *f.v == 0 {
			*f.v = f.d
		}
		*f.v = max(*f.v, 0)
	}
	if l.LeastRate == 0 {
		l.LeastRate = defaultLeastRate
	}
	l.LeastRate = max(l.LeastRate, 0)
	return l
}
