package websocket

// What the tests outside the package have of those inside.

// A FramingCase is what a client sends to a server that echoes, and what comes back, as Told tells it.
type FramingCase struct{ Name, In, Want string }

func FramingCases() (all []FramingCase) {
	for _, c := range framingCases() {
		in, want := c.exchange()
		all = append(all, FramingCase{c.name, in, want})
	}
	return all
}

// Told is what a client is told by the bytes of a server.
func Told(out string) string { return tell(&Parser{Side: Client, Limits: limits}, out, len(out)+1) }

// Hello is a request for a WebSocket without its end, with the key of RFC 6455, section 1.3.
const Hello = hello
