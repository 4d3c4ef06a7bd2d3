package smtp

import "time"

// ClientLimits bound what a server may send, and how long it may take. A zero or negative field is its default. The
// times are those of RFC 5321 (section 4.5.3.2), which are long since servers may be busy; what is over one fails with
// [os.ErrDeadlineExceeded], and ends the connection.
type ClientLimits struct {
	ReplyLine  int // bytes of a line of a reply, with its end: 2048; RFC 5321 has 512, and some servers say more
	ReplyLines int // lines of a reply: 128

	GreetTime     time.Duration // until the greeting has come: 5 minutes
	CommandTime   time.Duration // for the answer to a command: 5 minutes
	DataTime      time.Duration // for the answer to DATA: 2 minutes
	BlockTime     time.Duration // for a piece of the message to be taken: 3 minutes
	EndTime       time.Duration // for the answer to a message: 10 minutes
	HandshakeTime time.Duration // for TLS: 30 s
	QuitTime      time.Duration // for the answer to QUIT: 5 s, since nothing depends on it
}

// The defaults of ClientLimits.
const (
	defaultReplyLine     = 2048
	defaultReplyLines    = 128
	defaultGreetTime     = 5 * time.Minute
	defaultAnswerTime    = 5 * time.Minute
	defaultDataReplyTime = 2 * time.Minute
	defaultSendTime      = 3 * time.Minute
	defaultEndTime       = 10 * time.Minute
	defaultClientTLSTime = 30 * time.Second
	defaultQuitTime      = 5 * time.Second
)

// WithDefaults is l with its fields filled.
func (l ClientLimits) WithDefaults() ClientLimits {
	if l.ReplyLine <= 0 {
		l.ReplyLine = defaultReplyLine
	}
	if l.ReplyLines <= 0 {
		l.ReplyLines = defaultReplyLines
	}
	for _, f := range [...]struct {
		v *time.Duration
		d time.Duration
	}{
		{&l.GreetTime, defaultGreetTime}, {&l.CommandTime, defaultAnswerTime}, {&l.DataTime, defaultDataReplyTime},
		{&l.BlockTime, defaultSendTime}, {&l.EndTime, defaultEndTime}, {&l.HandshakeTime, defaultClientTLSTime},
		{&l.QuitTime, defaultQuitTime},
	} {
		if *f.v <= 0 {
			*f.v = f.d
		}
	}
	return l
}
