// Package selector tells which of many descriptors are ready: select, poll, epoll and kqueue behind one type.
package selector
