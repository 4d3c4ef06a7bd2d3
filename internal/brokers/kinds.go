package brokers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Redis is redis-server with an append-only file that is on the disk before an answer is sent, and no snapshots.
// Further arguments take precedence.
var Redis = Kind{Name: "redis-server", hello: "PING\r\n", answer: "+PONG", command: func(b *Broker) (*exec.Cmd, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, err
	}
	args := []string{"--port", strconv.Itoa(b.port), "--bind", "127.0.0.1", "--dir", b.dir, "--save", "",
		"--appendonly", "yes", "--appendfsync", "always"}
	return exec.Command(path, append(args, b.args...)...), nil
}}

// SecretRedis is Redis where a client needs the password in b's arguments: until it gave it, it is told so.
var SecretRedis = Kind{Name: Redis.Name, hello: Redis.hello, answer: "-NOAUTH", command: Redis.command}

// Memcached is memcached with 64 MB.
var Memcached = Kind{Name: "memcached", hello: "version\r\n", answer: "VERSION",
	command: func(b *Broker) (*exec.Cmd, error) {
		path, err := exec.LookPath("memcached")
		if err != nil {
			return nil, err
		}
		// root must name a user; it may be root.
		args := []string{"-l", "127.0.0.1", "-p", strconv.Itoa(b.port), "-U", "0", "-u", "root"}
		return exec.Command(path, append(args, b.args...)...), nil
	}}

// Rabbit is rabbitmq-server with no plugins. Its cookie, its data, its log and its own epmd, the name server of Erlang,
// are apart from those of the machine. The user is guest, with the password guest. It needs some 7 s to start.
// Further arguments are lines of rabbitmq.conf.
var Rabbit = Kind{Name: "rabbitmq-server", hello: "AMQP\x00\x00\x09\x01", answer: "\x01", command: rabbit, helper: epmd}

// rabbitPaths are where the program lies: what is in $PATH on Debian changes to the service's user and folder.
var rabbitPaths = []string{"/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server"}

func epmd(b *Broker) (*exec.Cmd, error) {
	if _, err := rabbitPath(); err != nil {
		return nil, err
	}
	path, err := exec.LookPath("epmd")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "-port", strconv.Itoa(b.more[0]))
	cmd.Env = append(os.Environ(), "ERL_EPMD_ADDRESS=127.0.0.1")
	return cmd, nil
}

func rabbitPath() (path string, err error) {
	for _, p := range rabbitPaths {
		if path, err = exec.LookPath(p); err == nil {
			return path, nil
		}
	}
	return "", err
}

func rabbit(b *Broker) (*exec.Cmd, error) {
	path, err := rabbitPath()
	if err != nil {
		return nil, err
	}
	in := func(name string) string { return filepath.Join(b.dir, name) }
	lines := ""
	for _, l := range b.args {
		lines += l + "\n"
	}
	if err := os.WriteFile(in("rabbitmq.conf"), []byte(lines), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(in("plugins"), []byte("[].\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(path)
	cmd.Dir = b.dir
	// As under systemd the script becomes the broker. Otherwise it stays beside it, and is what Kill would kill.
	cmd.Env = append(os.Environ(), "RUNNING_UNDER_SYSTEMD=true", "HOME="+b.dir,
		"ERL_EPMD_PORT="+strconv.Itoa(b.more[0]), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_CONF_ENV_FILE="+os.DevNull, "RABBITMQ_CONFIG_FILE="+in("rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+in("plugins"), "RABBITMQ_PID_FILE="+in("pid"),
		"RABBITMQ_MNESIA_BASE="+in("mnesia"), "RABBITMQ_LOG_BASE="+in("log"), "RABBITMQ_LOGS=-",
		fmt.Sprintf("RABBITMQ_NODENAME=plexor%d@localhost", b.port), "RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(b.port), "RABBITMQ_DIST_PORT="+strconv.Itoa(b.more[1]),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}")
	return cmd, nil
}
