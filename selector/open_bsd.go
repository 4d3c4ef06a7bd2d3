//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

var makers = []maker{{"kqueue", newKqueue}, {"poll", newPoll}, {"select", newSelect}}
