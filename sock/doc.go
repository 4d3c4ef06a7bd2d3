// Package sock is sockets and nothing above them: addresses written as URLs, options by name, and the
// non-blocking calls themselves, with the same meaning on every system.
package sock
