package smtp

import "time"

// Limits bound what a client of a server may send, and how long it may take. A zero field is its default, which is
// written behind it with what a client is told; a negative one is no limit, where that is said.
type Limits struct {
	// Line is how long a command may be, with its line end: 2048 bytes (500). RFC 5321 (section 4.5.3.1.4) has 512, and
	// the extensions add up to 700. AuthLine is that for the lines of an authentication, which RFC 4954 (section 4) has
	// at 12288 (500).
	Line     int
	AuthLine int
	// TextLine is how long a line of a message may be, with its line end: 1000 bytes (RFC 5321, section 4.5.3.1.6; 554).
	// Negative: as long as the message may be. A message of BINARYMIME has no lines.
	TextLine int
	// Message is how long a message may be, in bytes as the Backend reads them: 32 MiB (552). It is what SIZE tells
	// (RFC 1870).
	Message int64
	// Discard is how many bytes of a message that was refused are read on, so that the client hears the refusal: 64 MiB.
	// The connection is closed then.
	Discard int64
	// Recipients is how many recipients a message may have: 100, the least that RFC 5321 allows (452). Domains is how
	// many domains they may be of, in a session: no limit (452). Messages is how many messages a session may have: 1000
	// (421). RFC 9422 tells clients of them.
	Recipients int
	Domains    int
	Messages   int
	// Errors is how many commands of a session may be answered with 5xx: 20 (421). It slows down who tries out
	// addresses.
	Errors int
	// Junk is how many commands that move no mail (NOOP, RSET, VRFY, HELP, another EHLO, a MAIL without a message
	// …) there may be between two messages: 100 (421).
	Junk int
	// AuthTries is how many authentications of a session may fail: 3 (421).
	AuthTries int
	// ProxyHeader is how long a PROXY header may be, in bytes: 536, which every sender keeps to, and some of theirs.
	// Version 1 has 107 at most.
	ProxyHeader int

	// CommandTime is how long a client may take for its next command, from the end of the last to the end of this one: 5
	// minutes, the least that RFC 5321 has (section 4.5.3.2.7; 421).
	CommandTime time.Duration
	// DataTime and DataRate are how long a message may take: DataTime, and a second more for each DataRate bytes that
	// have come: 10 minutes and 500 (421). BlockTime is how long a client may be silent in the midst of one: 5 minutes
	// (421).
	DataTime  time.Duration
	DataRate  int
	BlockTime time.Duration
	// HandshakeTime is how long TLS and a PROXY header may take: 30 s each (the connection is closed).
	HandshakeTime time.Duration
	// WriteTime is how long an answer may wait for the client to take it: 1 minute (the connection is closed).
	WriteTime time.Duration
}

// The defaults of Limits.
const (
	defaultLine          = 2048
	defaultAuthLine      = 12288
	defaultTextLine      = 1000
	defaultMessage       = 32 << 20
	defaultDiscard       = 64 << 20
	defaultRecipients    = 100
	defaultMessages      = 1000
	defaultErrors        = 20
	defaultJunk          = 100
	defaultAuthTries     = 3
	defaultProxyHeader   = 536
	defaultCommandTime   = 5 * time.Minute
	defaultDataTime      = 10 * time.Minute
	defaultDataRate      = 500
	defaultBlockTime     = 5 * time.Minute
	defaultHandshakeTime = 30 * time.Second
	defaultWriteTime     = time.Minute
)

// WithDefaults is l with its zero fields filled. Fields that can't be without limit have it if they are negative, too.
func (l Limits) WithDefaults() Limits {
	for _, f := range [...]struct {
		v *int
		d int
	}{
		{&l.Line, defaultLine}, {&l.AuthLine, defaultAuthLine}, {&l.Recipients, defaultRecipients},
		{&l.Messages, defaultMessages}, {&l.Errors, defaultErrors}, {&l.Junk, defaultJunk},
		{&l.AuthTries, defaultAuthTries}, {&l.ProxyHeader, defaultProxyHeader}, {&l.DataRate, defaultDataRate},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	if l.TextLine == 0 {
		l.TextLine = defaultTextLine
	}
	if l.Message <= 0 {
		l.Message = defaultMessage
	}
	if l.Discard <= 0 {
		l.Discard = defaultDiscard
	}
	for _, f := range [...]struct {
		v *time.Duration
		d time.Duration
	}{
		{&l.CommandTime, defaultCommandTime}, {&l.DataTime, defaultDataTime}, {&l.BlockTime, defaultBlockTime},
		{&l.HandshakeTime, defaultHandshakeTime}, {&l.WriteTime, defaultWriteTime},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return l
}
