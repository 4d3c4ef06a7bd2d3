// Command plexor serves, connects, fetches, puts load on servers, has jobs and their broker, lists the drivers of this
// machine, and says what it is: see plexor --help.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/plexor-go/plexor/internal/mqcmd"
	"github.com/plexor-go/plexor/models"
	"github.com/plexor-go/plexor/proc"
)

// The exit codes.
const (
	exitOK    = 0
	exitError = 1 // something went wrong
	exitUsage = 2 // the command line is wrong
)

// cli is the command line.
type cli struct {
	Version kong.VersionFlag `help:"Print the version and exit."`

	Serve   serveCmd   `cmd:"" help:"Serve echo, upper, http, ftp or smtp on one or more addresses, until SIGINT or SIGTERM."`
	Dial    dialCmd    `cmd:"" help:"Connect standard input and output to an address, as nc does."`
	Bench   benchCmd   `cmd:"" help:"Put load on an address, check what comes back, and report rates and latencies."`
	Get     getCmd     `cmd:"" help:"Fetch many URLs at once, on one thread, and show where the time went."`
	Drivers driversCmd `cmd:"" help:"List what a loop can wait on here, best first, and why not where it can't."`
	Compare compareCmd `cmd:"" help:"Measure the same service on every I/O model, and write a report with charts."`

	MQ mqcmd.Command `cmd:"" name:"mq" help:"Publish jobs, do them, look at queues and dead jobs, and serve a broker."`

	CompareModel compareModelCmd `cmd:"" hidden:"" help:"Serve a model for compare, until standard input ends."`
}

// A usageError is a mistake on the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func main() {
	models.RunWorker()
	proc.Main() // a worker goes no further
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its world as arguments.
func run(args []string, stdout, stderr io.Writer) int {
	parser, ended := newParser(&console{in: os.Stdin, out: stdout, err: stderr})
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(withNegatives(args))
	if *ended >= 0 {
		return *ended
	}
	if err != nil {
		what := strings.TrimSuffix(err.Error(), ` but got "EOL" (<EOL>)`) // a flag at the end without its value
		fmt.Fprintf(stderr, "plexor: %s (plexor --help tells more)\n", what)
		return exitUsage
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintf(stderr, "plexor: %s\n", oneLine(err))
		if errors.As(err, new(usageError)) || errors.As(err, new(mqcmd.UsageError)) {
			return exitUsage
		}
		return exitError
	}
	return exitOK
}

// withNegatives writes a flag whose value is a negative number with a sign of equality: the parser takes "-1" behind a
// flag for another flag, and its words for that say nothing of what the value may be.
func withNegatives(args []string) (out []string) {
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		if last := len(out) - 1; len(a) > 1 && a[0] == '-' && a[1] >= '0' && a[1] <= '9' && last >= 0 &&
			strings.HasPrefix(out[last], "--") && !strings.Contains(out[last], "=") {
			out[last] += "=" + a
			continue
		}
		out = append(out, a)
	}
	return out
}

// newParser makes the parser. Help and the version end the program from inside it; then ended is the exit code, and
// what the parser says after that is nothing.
func newParser(c *console) (parser *kong.Kong, ended *int) {
	ended = new(int)
	*ended = -1
	parser, err := kong.New(&cli{},
		kong.Name("plexor"),
		kong.Description("An event-driven networking engine for Go."),
		kong.Vars{"version": version() + "\n"},
		kong.Writers(c.out, c.err),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { *ended = code }),
		kong.Bind(c, &mqcmd.World{In: c.in, Out: c.out, Err: c.err}),
	)
	if err != nil {
		panic(err) // the struct above is wrong
	}
	return parser, ended
}

// oneLine is an error as it is printed: joined ones side by side.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimPrefix(err.Error(), "plexor: "), "\n", "; ")
}

// version is what the build knows of itself.
func version() string {
	v := "devel"
	if b, ok := debug.ReadBuildInfo(); ok {
		if b.Main.Version != "" && b.Main.Version != "(devel)" {
			v = b.Main.Version
		}
	}
	return fmt.Sprintf("plexor %s %s %s/%s", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
