package plexor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/plexor-go/plexor/internal/portion"
)

const module = "github.com/plexor-go/plexor"

// layers is the order of the packages: each imports only packages of the lines above its own, and none of its own
// line. ARCHITECTURE.md tells what each is for. A new package goes where its idea belongs.
var layers = [][]string{
	{"sock", "wire", "wire/pcapng", "internal/prefetch", "internal/credit", "internal/standstill", "internal/wait",
		"internal/ownnet", "internal/sample", "internal/stack", "internal/certs", "internal/tlsrecord",
		"internal/conformance", "internal/chromium", "internal/brokers", "internal/authority", "internal/eintr",
		"internal/reach", "internal/portion", "internal/layer"},
	{"selector", "uring", "lab/tcp", "lab/link", "proto/http1", "proto/ftp", "proto/smtp", "internal/leak",
		"internal/built", "internal/backlog"},
	{"frame", "proto/websocket", "proto/smtp/queue", "lab/ip"},
	{"frame/frametest", "frame/resp", "frame/memcache", "lab/tap"},
	{"loop"},
	{"coro"},
	{"internal/eyeballs"},
	{"."}, // the root: package plexor
	{"ipc/shm", "web", "smtpd", "smtpd/dkim", "ftpd", "lab", "internal/letter", "internal/natsnode"},
	{"ipc", "internal/mailcatch", "internal/stage"},
	{"proc"},
	{"mq"},
	{"mq/mqtest", "mq/nats", "internal/mqwire", "mq/memcache", "bus"},
	{"mq/redis", "mq/rabbit", "internal/mqkill", "bus/nats"},
	{"load", "models", "internal/mqcmd"},
	{"compare"},
	{"cmd/plexor", "docs", "soak", "attacks/handshakes", "attacks/keyupdate", "attacks/partial",
		"attacks/stopped", "attacks/urgent"},
}

// alone are packages that import nothing of ours, whatever stands above them.
var alone = append([]string{"selector", "uring", "frame"}, layers[0]...)

// core is the number of the first line that may use modules other than golang.org/x/sys: the one after the root's.
var core = slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, ".") }) + 1

// examples/ may import every layer below the command, like any user's program, and on the command's own line.
const examples = "examples/"

// A pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Standard   bool
	Module     *struct{ Path string }
	Imports    []string
	Error      *struct{ Err string }
}

// TestNoBroker: who imports the root or the bus builds no broker, and no client of one.
func TestNoBroker(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to list the packages with")
	}
	byPath := make(map[string]pkg)
	for _, p := range listLinux(t) {
		byPath[p.ImportPath] = p
	}
	broker := func(dep string) bool { return strings.Contains(dep, "nats-io/") }
	for _, name := range []string{"", "/bus", "/web", "/mq"} {
		if _, ok := byPath[module+name]; !ok {
			t.Errorf("there is no package %s", module+name)
		}
		if i := slices.IndexFunc(reach(byPath, module+name), broker); i >= 0 {
			t.Errorf("%s depends on %s", module+name, reach(byPath, module+name)[i])
		}
	}
	if !slices.ContainsFunc(reach(byPath, module+"/bus/nats"), broker) {
		t.Error("bus/nats depends on no broker: this test does not know one when it sees it")
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command here to list the packages with")
	}
	all := []string{"linux", "windows", "darwin", "freebsd"}
	for _, goos := range all[:portion.Fewer(len(all), 1)] {
		t.Run(goos, func(t *testing.T) {
			pkgs := listLinux(t)
			if goos != "linux" {
				pkgs = list(t, goos)
			}
			for _, refusal := range check(pkgs) {
				t.Error(refusal)
			}
		})
	}
}

// TestLayersRefuse holds the checker itself: each kind of trespass is refused, and says why.
func TestLayersRefuse(t *testing.T) {
	std := pkg{ImportPath: "net", Standard: true}
	kong := pkg{ImportPath: "example.com/kong", Module: &struct{ Path string }{"example.com/kong"}}
	ours := func(name string, imports ...string) pkg {
		return pkg{ImportPath: module + "/" + name, Imports: imports}
	}
	for _, row := range []struct {
		name string
		pkgs []pkg
		want string // "": no refusal
	}{
		{"down", []pkg{std, ours("sock", "net"), ours("loop", module+"/sock")}, ""},
		{"up", []pkg{ours("loop"), ours("sock", module+"/loop")}, "sock imports loop: "},
		{"alone", []pkg{ours("sock"), ours("frame", module+"/sock")}, "frame imports sock: frame imports nothing of ours"},
		{"module in the core", []pkg{kong, ours("loop", "example.com/kong")}, "loop depends on example.com/kong: "},
		{"module in the core, by way of another", []pkg{kong,
			{ImportPath: "example.com/x", Imports: []string{"example.com/kong"}, Module: kong.Module},
			ours("sock", "example.com/x"), ours("loop", module+"/sock")}, "loop depends on example.com/kong: "},
		{"module in the command", []pkg{kong, ours("cmd/plexor", "example.com/kong")}, ""},
		{"down from the root", []pkg{ours("loop"), {ImportPath: module, Imports: []string{module + "/loop"}}}, ""},
		{"up to the root", []pkg{{ImportPath: module}, ours("loop", module)}, "loop imports .: "},
		{"up from the root", []pkg{ours("cmd/plexor"), {ImportPath: module, Imports: []string{module + "/cmd/plexor"}}},
			". imports cmd/plexor: "},
		{"module in the root", []pkg{kong, {ImportPath: module, Imports: []string{"example.com/kong"}}},
			". depends on example.com/kong: "},
		{"unknown", []pkg{ours("util")}, "util is in no layer: "},
		{"example of the command", []pkg{ours("cmd/plexor"), ours("examples/x", module+"/cmd/plexor")},
			"examples/x imports cmd/plexor: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := check(row.pkgs)
			says := func(s string) bool { return strings.Contains(s, row.want) }
			if row.want == "" && len(got) > 0 || row.want != "" && !slices.ContainsFunc(got, says) {
				t.Errorf("check = %q, want %q", got, row.want)
			}
		})
	}
}

// check returns what is wrong with the imports, one line each.
func check(pkgs []pkg) (refusals []string) {
	byPath := make(map[string]pkg)
	for _, p := range pkgs {
		byPath[p.ImportPath] = p
	}
	refuse := func(format string, args ...any) { refusals = append(refusals, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		name, ok := ours(p.ImportPath)
		if p.Error != nil {
			refuse("%s: %s", p.ImportPath, p.Error.Err)
		}
		if !ok {
			continue
		}
		mine := layerOf(name)
		if mine < 0 {
			refuse("%s is in no layer: add it to the table in layers_test.go, where its idea belongs", name)
			continue
		}
		for _, i := range p.Imports {
			other, ok := ours(i)
			switch {
			case !ok:
			case slices.Contains(alone, name):
				refuse("%s imports %s: %s imports nothing of ours, so that it can be used without the rest", name, other, name)
			case layerOf(other) >= mine:
				refuse("%[1]s imports %[2]s: %[1]s is on line %[3]d of the layers and %[2]s on line %[4]d, and imports "+
					"point up that list only", name, other, mine, layerOf(other))
			}
		}
		if mine >= core {
			continue
		}
		for _, dep := range reach(byPath, p.ImportPath) {
			d := byPath[dep]
			if !d.Standard && d.Module != nil && d.Module.Path != module && d.Module.Path != "golang.org/x/sys" {
				refuse("%s depends on %s: layers 0 to 5 need the standard library and golang.org/x/sys alone, so that a "+
					"user gets nothing else with them", name, dep)
			}
		}
	}
	return refusals
}

// ours is the folder of one of our packages in the module; the root's is ".".
func ours(path string) (name string, ok bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

func layerOf(name string) int {
	if name == "examples" || strings.HasPrefix(name, examples) {
		return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, "cmd/plexor") })
	}
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) })
}

// reach is all that a package imports, however far.
func reach(byPath map[string]pkg, path string) []string {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(p string) {
		for _, i := range byPath[p].Imports {
			if !seen[i] {
				seen[i] = true
				walk(i)
			}
		}
	}
	walk(path)
	var all []string
	for p := range seen {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// listLinux is list for linux, which is made once.
func listLinux(t *testing.T) []pkg {
	t.Helper()
	linuxPackages.Lock()
	defer linuxPackages.Unlock()
	if linuxPackages.pkgs == nil {
		linuxPackages.pkgs = list(t, "linux")
	}
	return linuxPackages.pkgs
}

var linuxPackages struct {
	sync.Mutex
	pkgs []pkg
}

func list(t *testing.T, goos string) (pkgs []pkg) {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Module,Imports,Error", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list for %s: %v\n%s", goos, err, stderr.String())
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatalf("go list for %s printed what is no JSON: %v", goos, err)
		}
		pkgs = append(pkgs, p)
	}
}
