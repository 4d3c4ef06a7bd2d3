package proc

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// notifySocket is the variable that names a service manager's socket: a path, or, after an @, an abstract name of
// Linux.
const notifySocket = "NOTIFY_SOCKET"

// Notify tells the service manager that started this process what has become of it, as sd_notify(3) does: "READY=1",
// "STOPPING=1", "STATUS=…", "MAINPID=…". sent is false, and err nil, if nobody asked to be told (NOTIFY_SOCKET is not
// set). A [Master] does it by itself; in a worker it tells the master, and READY=1 there is the same as
// [Worker.Ready]. Any goroutine may call it.
func Notify(states ...string) (sent bool, err error) {
	name := os.Getenv(notifySocket)
	if name == "" {
		return false, nil
	}
	return notify(name, states...)
}

func notify(name string, states ...string) (bool, error) {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return false, fmt.Errorf("proc: notify %s: %w", name, err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return false, fmt.Errorf("proc: notify %s: %w", name, err)
	}
	return true, nil
}
