package smtp

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// converse serves a connection in memory, on which each piece is what one Read gets, and returns all that was answered.
// The pieces have to make the server close it.
func converse(t *testing.T, srv *Server, pieces ...string) string {
	t.Helper()
	if srv.Log == nil {
		srv.Log = quiet
	}
	client, server := net.Pipe()
	_ = client.SetDeadline(time.Now().Add(patience))
	var wg sync.WaitGroup
	var answers []byte
	var err error
	wg.Go(func() { _ = srv.Serve(context.Background(), server) })
	wg.Go(func() { answers, err = io.ReadAll(client) })
	for _, p := range pieces {
		if p == "" {
			continue
		}
		if _, err := io.WriteString(client, p); err != nil {
			break // it was closed, as it may be
		}
	}
	wg.Wait()
	_ = client.Close()
	if err != nil {
		t.Errorf("reading the answers: %v", err)
	}
	return string(answers)
}

const (
	envelope = "EHLO x.example\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@x.example>\r\n"
	evil     = "MAIL FROM:<evil@x.example>\r\nRCPT TO:<victim@x.example>\r\nDATA\r\nevil\r\n.\r\n"
)

// smuggled are ends that a message hasn't, though some server somewhere took each for one. legal are those that are
// content.
var smuggled = []struct {
	end   string
	legal bool
}{
	{"\n.\n", false}, {"\n.\r\n", false}, {"\r\n.\n", false}, {"\r.\r", false}, {"\r.\r\n", false}, {"\r\n.\r", false},
	{"\r.\n", false}, {"\n.\r", false}, {"\r\r\n.\r\n", false}, {"\r\n.\r\r\n", false}, {"\n\r.\r\n", false},
	{"\r\n\x00.\r\n", false}, {"\r\n.\x00\r\n", false}, {"\r\x00\n.\r\n", false}, {"\r\n.\r\x00\n", false},
	{"\n\n.\n\n", false}, {"\r\n\r.\r\n", false}, {"\r\n\n.\r\n", false}, {"\x00", false},
	{"\r\n .\r\n", true}, {"\r\n. \r\n", true}, {"\r\n..\r\n", true}, {"\r\n.\t\r\n", true}, {"\r\n.\x1a\r\n", true},
	{"\r\n.\x0b\r\n", true}, {"\x85.\x85", true}, {"\xe2\x80\xa8.\xe2\x80\xa8", true}, {"\x8d\x8a.\x8d\x8a", true},
	{"\r\n=2E\r\n", true}, {"\\r\\n.\\r\\n", true},
}

// TestSmuggling: a message with commands in it behind something like an end is refused with 550, and the connection
// closed, or it is one message with the commands as its text. At each cut into two packets, and byte by byte.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	for _, row := range smuggled {
		begin := envelope + "DATA\r\n"
		stream := begin + "Subject: x\r\n\r\nbody" + row.end + evil + "QUIT\r\n"
		for cut := len(begin); cut < len(begin)+20+len(row.end)+8; cut++ {
			smuggle(t, row.end, row.legal, stream[:cut], stream[cut:])
		}
		smuggle(t, row.end, row.legal, append([]string{begin}, strings.Split(stream[len(begin):], "")...)...)
	}
}

func smuggle(t *testing.T, end string, legal bool, pieces ...string) {
	t.Helper()
	st := new(store)
	srv := &Server{Backend: st}
	answers := converse(t, srv, pieces...)
	letters, said := st.got()
	if strings.Contains(said, "evil") {
		t.Fatalf("%q in %d pieces: the calls are %s", end, len(pieces), said)
	}
	last := answers[strings.LastIndex(strings.TrimSuffix(answers, "\r\n"), "\n")+1:]
	switch {
	case legal && (len(letters) != 1 || letters[0].err != nil || !strings.Contains(letters[0].text, "evil")):
		t.Errorf("%q in %d pieces: it got %+v", end, len(pieces), letters)
	case !legal && (!strings.HasPrefix(last, "550 5.6.0 ") || len(letters) > 1 ||
		len(letters) == 1 && letters[0].err == nil):
		t.Errorf("%q in %d pieces: it got %+v, and the last answer is %q", end, len(pieces), letters, last)
	case !legal && srv.Stats().LineEnds != 1:
		t.Errorf("%q: the stats are %+v", end, srv.Stats())
	}
}

// TestSmugglingByChunks: what BDAT has is as long as it says, and its lines end in CR LF, or the client is told 550 and
// the connection closed: who sends the message on by DATA would be deceived. BINARYMIME says that it is no text.
func TestSmugglingByChunks(t *testing.T) {
	t.Parallel()
	for _, row := range smuggled {
		legal := row.legal || row.end == "\r\n.\r\n"
		text := "body" + row.end + evil
		for cut := range len(text) {
			st := new(store)
			chunks := chunk(text[:cut], false) + chunk(text[cut:], true)
			answers := converse(t, &Server{Backend: st}, envelope, chunks, "QUIT\r\n")
			letters, said := st.got()
			if strings.Contains(said, "evil") || len(letters) != 1 || legal != (letters[0].err == nil) ||
				legal && letters[0].text != text || legal == strings.Contains(answers, "\r\n550 ") {
				t.Fatalf("%q cut at %d: the calls are %s, the letters %+v, the answers %q", row.end, cut, said, letters,
					answers)
			}
		}
		st := new(store)
		binary := strings.Replace(envelope, "a@x.example>", "a@x.example> BODY=BINARYMIME", 1)
		_ = converse(t, &Server{Backend: st, Binary: true}, binary, chunk(text, true), "QUIT\r\n")
		if letters, _ := st.got(); len(letters) != 1 || letters[0].text != text || letters[0].mail.Body != BodyBinary {
			t.Errorf("%q as BINARYMIME: %+v", row.end, letters)
		}
	}
}

// TestChunkEndsInCR: the last byte of a message can't be a CR that waits for its LF in the next command.
func TestChunkEndsInCR(t *testing.T) {
	t.Parallel()
	st := new(store)
	answers := converse(t, &Server{Backend: st}, envelope, chunk("a\r", true), "QUIT\r\n")
	if letters, _ := st.got(); len(letters) != 1 || letters[0].err != ErrBareCR || !strings.Contains(answers, "\r\n550 ") {
		t.Errorf("the letters are %+v, the answers %q", letters, answers)
	}
}

// chunk is a chunk with its command.
func chunk(text string, last bool) string {
	end := "\r\n"
	if last {
		end = " LAST\r\n"
	}
	return "BDAT " + itoa(len(text)) + end + text
}

// TestCommandLineEnds: a command whose line ends otherwise than in CR LF is refused, and the connection closed, before
// anything of the line is done.
func TestCommandLineEnds(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"MAIL FROM:<a@x.example>\n", "MAIL FROM:<a@x.example>\r\r\n", "MAIL FROM:<a@x.example>\rRSET\r\n",
		"MAIL FROM:<a@x.example>\nRSET\r\n", "MAIL FROM:<a\r@x.example>\r\n", "\n", "\r\r\n", "NOOP\n\r",
	} {
		for cut := range len(line) {
			st := new(store)
			srv := &Server{Backend: st}
			answers := converse(t, srv, "EHLO x.example\r\n", line[:cut], line[cut:], "MAIL FROM:<evil@x.example>\r\nQUIT\r\n")
			_, said := st.got()
			if strings.Contains(said, "mail") || !strings.Contains(answers, "\r\n500 5.5.2 ") || srv.Stats().LineEnds != 1 {
				t.Errorf("%q cut at %d: the calls are %s, the answers %q", line, cut, said, answers)
			}
		}
	}
}
