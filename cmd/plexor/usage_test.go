package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestUsage: what is wrong is said in one line, with what and where, and the exit code tells whose fault it is.
func TestUsage(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		args []string
		code int
		want string // a regular expression for standard error
	}{
		{"unknown command", []string{"sever"}, 2, `sever`},
		{"unknown flag", []string{"serve", "--divers=epoll"}, 2, `unknown flag --divers`},
		{"no service", []string{"serve", "tcp://127.0.0.1:0"}, 2, `"tcp://127.0.0.1:0": want SERVICE=ADDRESS`},
		{"unknown service", []string{"serve", "lower=tcp://127.0.0.1:0"}, 2, `unknown service "lower"; there are echo, upper`},
		{"http of udp", []string{"serve", "http=udp://127.0.0.1:0"}, 2, `http is served on tcp, tls and unix addresses`},
		{"frames of http", []string{"serve", "http=tcp://127.0.0.1:0?frame=line"}, 2, `option frame: http has frames of its own`},
		{"a root that is none", []string{"serve", "http=tcp://127.0.0.1:0?root=" + file}, 2, `option root: .*not a directory`},
		{"a list without a root", []string{"serve", "http=tcp://127.0.0.1:0?list=yes"}, 2, `option list: it is of no use without root`},
		{"an unknown access log", []string{"serve", "http=tcp://127.0.0.1:0?access=all"}, 2, `option access: "all" is none of off, common and combined`},
		{"a root of echo", []string{"serve", "echo=tcp://127.0.0.1:0?root=/"}, 2, `unknown option "root"`},
		{"http by a model", []string{"serve", "--model=threads", "http=tcp://127.0.0.1:0"}, 2, `http`},
		{"smtp of udp", []string{"serve", "smtp=udp://127.0.0.1:0?maildir=" + dir}, 2, `smtp is served on tcp, tls and unix addresses`},
		{"smtp without a Maildir", []string{"serve", "smtp=tcp://127.0.0.1:0"}, 2, `option maildir: smtp needs it`},
		{"smtp for others", []string{"serve", "smtp=tcp://0.0.0.0:0?maildir=" + dir}, 2, `option token: others than this machine can reach tcp://0.0.0.0:0, so give token=FILE`},
		{"a mail page for others", []string{"serve", "smtp=tcp://127.0.0.1:0?maildir=" + dir + "&http=tcp://:0"}, 2, `option token: others than this machine can reach tcp://:0,`},
		{"a token that is none", []string{"serve", "smtp=tcp://127.0.0.1:0?token=" + file + "&maildir=" + dir}, 2, `option token: the file has 0 bytes, and a secret needs 16`},
		{"a fault that is none", []string{"serve", "smtp=tcp://127.0.0.1:0?fault=rcpt:*:250&maildir=" + dir}, 2, `option fault: .*"rcpt:\*:250": action "250": want a code from 400 to 599`},
		{"a mail page of no kind", []string{"serve", "smtp=tcp://127.0.0.1:0?http=udp://127.0.0.1:0&maildir=" + dir}, 2, `option http: the page is served on tcp, tls and unix addresses`},
		{"keep nothing", []string{"serve", "smtp=tcp://127.0.0.1:0?keep=0&maildir=" + dir}, 2, `option keep: want how many`},
		{"a host without a page", []string{"serve", "smtp=tcp://127.0.0.1:0?host=x&maildir=" + dir}, 2, `option host: it is of no use without http`},
		{"smtp by workers", []string{"serve", "--workers=2", "smtp=tcp://127.0.0.1:0?maildir=" + dir}, 2, `--workers: smtp= catches mail in one process`},
		{"a Maildir that is a file", []string{"serve", "smtp=tcp://127.0.0.1:0?maildir=" + file}, 1, `maildir: .*not a directory`},
		{"unknown scheme", []string{"serve", "echo=tpc://127.0.0.1:0"}, 2, `"echo=tpc://127.0.0.1:0": .*unknown scheme "tpc": it is tcp, tls, udp or unix`},
		{"unknown scheme of a broker", []string{"mq", "ls", "tpc://h"}, 2, `^plexor: unknown scheme "tpc": there are amqp, `},
		{"a broker that is no URL", []string{"mq", "ls", "h"}, 2, `"h" is no URL of a broker: write nats\+embedded:///FOLDER`},
		{"nobody listens as Redis", []string{"mq", "ls", "redis://127.0.0.1:1"}, 1, `^plexor: redis: open 127.0.0.1:1: nobody listens there: is redis-server started, .*connection refused`},
		{"nobody listens as RabbitMQ", []string{"mq", "ls", "amqp://127.0.0.1:1"}, 1, `^plexor: rabbit: open 127.0.0.1:1: nobody listens there: is rabbitmq-server started, .*connection refused`},
		{"jobs in a cache", []string{"mq", "pub", "memcached://127.0.0.1:1", "q", "x"}, 1, `memcached:// has no queues`},
		{"unknown scheme to dial", []string{"dial", "tpc://127.0.0.1:1"}, 2, `^plexor: address "tpc://127.0.0.1:1": unknown scheme "tpc": it is tcp, tls, udp or unix`},
		{"unknown scheme to load", []string{"bench", "tpc://127.0.0.1:1"}, 2, `unknown scheme "tpc": it is tcp, tls, udp or unix`},
		{"a WebSocket without a host", []string{"bench", "ws:///x"}, 2, `want ws://host\[:port\]/path`},
		{"a WebSocket with a body", []string{"bench", "ws://127.0.0.1:1/", "--body=x"}, 2, `--body: it is for http:// and https:// addresses`},
		{"compressed bytes", []string{"bench", "tcp://127.0.0.1:1", "--deflate"}, 2, `--deflate: it is for ws:// and wss:// addresses`},
		{"a field that is none", []string{"bench", "ws://127.0.0.1:1/", "--header=x"}, 2, `want NAME: VALUE`},
		{"a WebSocket's own field", []string{"bench", "ws://127.0.0.1:1/", "--header=Upgrade: x"}, 2, `Upgrade`},
		{"unknown scheme of tls", []string{"serve", "echo=https://127.0.0.1:0"}, 2, `it is tcp, tls, udp or unix`},
		{"no port of tls", []string{"serve", "echo=tls://127.0.0.1"}, 2, `address "tls://127.0.0.1": the port is missing: write tls://host:port`},
		{"port out of range of tls", []string{"serve", "echo=tls://127.0.0.1:70000"}, 2, `address "tls://127.0.0.1:70000".*70000`},
		{"no certificate file", []string{"serve", "echo=tls://127.0.0.1:0?cert=/none.crt&key=/none.key"}, 1, `: TLS certificate /none.crt with key /none.key: open /none.crt: no such file or directory`},
		{"no certificate in the file", []string{"serve", "echo=tls://127.0.0.1:0?cert=" + file}, 1, `: TLS certificate .*file with key .*file: .*PEM`},
		{"key without cert", []string{"serve", "echo=tls://127.0.0.1:0?key=/x"}, 2, `option key: it is of no use without cert`},
		{"cert of tcp", []string{"serve", "echo=tcp://127.0.0.1:0?cert=/x"}, 2, `unknown option "cert"`},
		{"a host that does not resolve", []string{"serve", "echo=tcp://no.such.host.invalid:0"}, 1, `listen tcp://no.such.host.invalid:0: .*no.such.host.invalid.*could not be resolved`},
		{"a host to dial that does not resolve", []string{"dial", "tcp://no.such.host.invalid:1"}, 1, `dial tcp://no.such.host.invalid:1: .*lookup no.such.host.invalid`},
		{"nobody listens", []string{"dial", "tcp://127.0.0.1:1"}, 1, `dial tcp://127.0.0.1:1: .*connection refused`},
		{"no such socket", []string{"dial", "unix://" + filepath.Join(dir, "none")}, 1, `none: .*is the server up`},
		{"a bad fingerprint", []string{"dial", "tls://127.0.0.1:1?fingerprint=zz"}, 2, `^plexor: "tls://127.0.0.1:1\?fingerprint=zz": option fingerprint: it is no SHA-256`},
		{"an address with a colon and a space", []string{"dial", "unix:///no ne?sndbuf=64:k"}, 2, `sndbuf`},
		{"a path with a space to dial", []string{"dial", "unix:///no%20ne/x:y"}, 1, `^plexor: dial unix:///no%20ne/x:y: `},
		{"a fingerprint that is too short", []string{"dial", "tls://127.0.0.1:1?fingerprint=AB:CD"}, 2, `option fingerprint: it is no SHA-256`},
		{"a bad fingerprint to load", []string{"bench", "tls://127.0.0.1:1?fingerprint=zz"}, 2, `option fingerprint: it is no SHA-256`},
		{"insecure without tls", []string{"dial", "--insecure", "tcp://127.0.0.1:1"}, 2, `--insecure: it is for tls://`},
		{"insecure with a fingerprint", []string{"dial", "--insecure", "tls://127.0.0.1:1?fingerprint=" + strings.Repeat("ab", 32)}, 2, `leave one of --insecure and fingerprint= out`},
		{"no scheme, and no guess", []string{"dial", "foo"}, 2, `write tcp://host:port, tls://host:port, udp://host:port or unix:///path`},
		{"empty", []string{"dial", ""}, 2, `write tcp://host:port, tls://host:port, udp://host:port or unix:///path`},
		{"loops of a load", []string{"bench", "--loops=-1", "tcp://127.0.0.1:1"}, 2, `^plexor: loops: -1 is out of range: want 1 to 1024, or 0 for 1`},
		{"a flag without its value", []string{"serve", "--driver"}, 2, `--driver: expected string value \(plexor --help`},
		{"no port", []string{"serve", "echo=tcp://127.0.0.1"}, 2, `port`},
		{"port out of range", []string{"serve", "echo=tcp://127.0.0.1:70000"}, 2, `70000`},
		{"unknown option", []string{"serve", "echo=tcp://127.0.0.1:0?colour=red"}, 2, `unknown option "colour"; there are backlog`},
		{"bad option", []string{"serve", "echo=tcp://127.0.0.1:0?backlog=many"}, 2, `backlog`},
		{"option of another socket", []string{"serve", "echo=udp://127.0.0.1:0?nodelay=no"}, 2, `nodelay`},
		{"unknown frame", []string{"serve", "echo=tcp://127.0.0.1:0?frame=len5"}, 2, `option frame: .*len5`},
		{"frames over UDP", []string{"serve", "echo=udp://127.0.0.1:0?frame=line"}, 2, `a datagram is a message already`},
		{"the second is wrong", []string{"serve", "echo=tcp://127.0.0.1:0", "echo=tcp://"}, 2, `"echo=tcp://"`},
		{"unknown driver", []string{"serve", "--driver=devpoll", "echo=tcp://127.0.0.1:0"}, 2, `unknown driver "devpoll": .*select`},
		{"model there is not", []string{"serve", "--model=forks"}, 2, `--model: unknown model "forks": there are blocking, busy,`},
		{"model without a name", []string{"serve", "--model="}, 2, `--model: unknown model "": there are blocking, busy,`},
		{"model and driver", []string{"serve", "--model=poll", "--driver=epoll"}, 2, `--driver: .*--model=poll serves without it`},
		{"model and workers", []string{"serve", "--model=poll", "--workers=2"}, 2, `--workers: .*--model=poll serves without it`},
		{"model with too many workers", []string{"serve", "--model=processes", "--workers=129"}, 2, `--workers=129: with --model=processes want 1 to 128`},
		{"model and drain", []string{"serve", "--model=busy", "--drain=1s"}, 2, `--drain: .*--model=busy serves without it`},
		{"model over UDP", []string{"serve", "--model=poll", "echo=udp://127.0.0.1:0"}, 2, `"echo=udp://127.0.0.1:0" with --model: .*tcp://host:port alone`},
		{"model over TLS", []string{"serve", "--model=poll", "echo=tls://127.0.0.1:0"}, 2, `tcp://host:port alone`},
		{"model with frames", []string{"serve", "--model=poll", "echo=tcp://127.0.0.1:0?frame=line"}, 2, `a model takes no options of an address`},
		{"model, port in use", []string{"serve", "--model=poll", "echo=tcp://127.0.0.1:0", "echo=tcp://" + taken.Addr().String()}, 1, `models: poll: .*address already in use`},
		{"negative loops", []string{"serve", "--loops=-1"}, 2, `--loops=-1`},
		{"negative loops, apart", []string{"serve", "--loops", "-1"}, 2, `^plexor: --loops=-1: want at least 1`},
		{"negative loops of a load, apart", []string{"bench", "--loops", "-1", "tcp://127.0.0.1:1"}, 2, `^plexor: loops: -1 is out of range`},
		{"negative drain, apart", []string{"serve", "--drain", "-1s"}, 2, `^plexor: --drain=-1s`},
		{"negative workers", []string{"serve", "--workers=-1"}, 2, `--workers=-1`},
		{"a pid file of no master", []string{"serve", "--pid-file=x"}, 2, `--pid-file: it is for --workers`},
		{"two ways to spread", []string{"serve", "--workers=2", "--spread=reuseport"}, 2, `leave one of --spread and --workers out`},
		{"unknown driver of workers", []string{"serve", "--workers=2", "--driver=devpoll", "echo=tcp://127.0.0.1:0"}, 2, `unknown driver "devpoll": .*select`},
		{"port in use, of workers", []string{"serve", "--workers=2", "echo=tcp://" + taken.Addr().String()}, 1, `tcp://` + taken.Addr().String() + `.*address already in use`},
		{"negative drain", []string{"serve", "--drain=-1s"}, 2, `--drain=-1s`},
		{"bad drain", []string{"serve", "--drain=soon"}, 2, `soon`},
		{"port in use", []string{"serve", "echo=tcp://" + taken.Addr().String()}, 1, `tcp://` + taken.Addr().String() + `.*address already in use`},
		{"port in use, spread by the kernel", []string{"serve", "--spread=reuseport", "--loops=2", "echo=tcp://" + taken.Addr().String()}, 1, `address already in use`},
		{"the second is in use", []string{"serve", "echo=tcp://127.0.0.1:0", "echo=tcp://" + taken.Addr().String()}, 1, `address already in use`},
		{"no such directory", []string{"serve", "echo=unix://" + filepath.Join(dir, "none", "sock")}, 1, `none/sock.*no such file or directory`},
		{"a file is in the way", []string{"serve", "echo=unix://" + file}, 1, `file`},
		{"not our address", []string{"serve", "echo=tcp://192.0.2.1:0"}, 1, `192\.0\.2\.1.*cannot assign requested address`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := result(row.args...)
			if code != row.code || !regexp.MustCompile(row.want).MatchString(stderr) {
				t.Errorf("plexor %q: exit %d, want %d; standard error %q, want a match for %q",
					row.args, code, row.code, stderr, row.want)
			}
			if strings.Count(stderr, "\n") != 1 {
				t.Errorf("plexor %q printed %d lines, want one:\n%s", row.args, strings.Count(stderr, "\n"), stderr)
			}
			if stdout != "" {
				t.Errorf("plexor %q printed on standard output: %q", row.args, stdout)
			}
			if strings.Contains(stderr, "listening") {
				t.Errorf("plexor %q had begun to listen: %q", row.args, stderr)
			}
		})
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the file that was in the way is gone: %v", err)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, row := range []struct {
		name string
		args []string
		want []string
	}{
		{"help", []string{"--help"}, []string{"serve", "drivers"}},
		{"nothing", nil, []string{"serve", "drivers"}},
		{"help of serve", []string{"serve", "--help"},
			[]string{"--driver", "--loops", "--drain", "SERVICE=ADDRESS", "tcp://127.0.0.1:8088"}},
		{"models", []string{"serve", "--help"},
			[]string{"--model", "  blocking    one client at a time, in calls that wait\n", "  coroutines  "}},
		{"version", []string{"--version"}, []string{"plexor ", "go1.", "\n"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := result(row.args...)
			if code != 0 || stderr != "" {
				t.Errorf("plexor %q: exit %d, standard error %q", row.args, code, stderr)
			}
			for _, want := range row.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("plexor %q does not mention %q:\n%s", row.args, want, stdout)
				}
			}
		})
	}
}

func TestDrivers(t *testing.T) {
	code, stdout, stderr := result("drivers")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d, standard error %q", code, stderr)
	}
	line := regexp.MustCompile(`^\w+ +(yes|no   .+|yes  .+)$`)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, l := range lines {
		if !line.MatchString(strings.TrimRight(l, " ")) {
			t.Errorf("a line of plexor drivers is %q", l)
		}
	}
	if strings.Count(stdout, "auto takes this one") != 1 {
		t.Errorf("want one driver that auto takes:\n%s", stdout)
	}
	if strings.Contains(stdout, "\x1b") {
		t.Errorf("colour, and this is no terminal: %q", stdout)
	}
}
