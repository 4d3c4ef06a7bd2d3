package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/plexor-go/plexor/internal/leak"
	"github.com/plexor-go/plexor/models"
)

// The processes of a comparison are this test binary, told by its environment to be one of them.
const roleKey = "COMPARE_TEST_ROLE"

// TestMain looks for goroutines and descriptors that the tests left behind.
func TestMain(m *testing.M) {
	models.RunWorker()
	if role := os.Getenv(roleKey); role != "" {
		os.Exit(play(role, os.Args[1:]))
	}
	os.Exit(leak.Main(m))
}

// role is the command of a process that plays a part.
func role(name string, args ...string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), roleKey+"="+name)
	return cmd
}

func play(role string, args []string) int {
	var err error
	switch role {
	case "server": // MODEL SERVICE CLIENTS
		var m models.Model
		var s models.Service
		var clients int
		m, err = models.Find(args[0])
		if err == nil {
			s, err = models.FindService(args[1])
		}
		if err == nil {
			clients, err = strconv.Atoi(args[2])
		}
		if err == nil {
			err = ServeModel(context.Background(), m, s, clients, os.Stdin, os.Stdout)
		}
	case "load": // ADDRESS CONNS WARMUP DURATION
		err = playLoad(args)
	case "dumb": // says something else than it should
		fmt.Println(strings.Join(args, " "))
	case "deaf": // says that it serves, and does not end when it is told
		fmt.Println("serving tcp://127.0.0.1:9")
		time.Sleep(time.Hour)
	case "fail":
		err = errors.New(strings.Join(args, " "))
	case "sleep":
		time.Sleep(time.Hour)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// playLoad stands in for the load generator.
func playLoad(args []string) error {
	conns, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	warm, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[3])
	if err != nil {
		return err
	}
	var open []net.Conn
	for range conns {
		c, err := net.Dial("tcp", strings.TrimPrefix(args[0], "tcp://"))
		if err != nil {
			return err
		}
		defer c.Close()
		open = append(open, c)
	}
	begin := time.Now().Add(warm)
	var mu sync.Mutex
	var all []float64
	var wg sync.WaitGroup
	for _, c := range open {
		wg.Go(func() {
			var mine []float64
			for buf := make([]byte, 64); time.Since(begin) < d || len(mine) == 0; {
				sent := time.Now()
				if _, err := c.Write(buf); err != nil {
					break
				}
				if _, err := io.ReadFull(c, buf); err != nil {
					break
				}
				if sent.After(begin) {
					mine = append(mine, float64(time.Since(sent).Nanoseconds())/1e3)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	wg.Wait()
	if len(all) == 0 {
		return errors.New("no message was answered")
	}
	slices.Sort(all)
	l := Load{Rate: float64(len(all)) / d.Seconds()}
	l.Latency.P50, l.Latency.P99 = all[len(all)/2], all[len(all)*99/100]
	return json.NewEncoder(os.Stdout).Encode(l)
}

// patience is how long a test waits for what must come; nothing takes that long when all is well.
const patience = 30 * time.Second
