package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"

	"github.com/plexor-go/plexor/proto/smtp"
)

// A Resolver finds the servers of a domain. *net.Resolver is one. A *net.DNSError whose IsNotFound is set says that
// there are no such records; any other error that it may be worth to try again.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

// The failures of finding a server.
var (
	errNoDomain = &smtp.Error{Code: 550, Enhanced: smtp.Enhanced{5, 1, 2}, Text: "there is no such domain"}
	errNoMail   = &smtp.Error{Code: 556, Enhanced: smtp.Enhanced{5, 1, 10}, Text: "the domain takes no mail (RFC 7505)"}
	errLoop     = &smtp.Error{Code: 554, Enhanced: smtp.Enhanced{5, 4, 6},
		Text: "this server is the domain's best, and does not know it"}
	errLookup = &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 4, 3}, Text: "the domain's servers can't be found now"}
	errReach  = &smtp.Error{Code: 451, Enhanced: smtp.Enhanced{4, 4, 1}, Text: "none of the domain's servers answers"}
)

func lower(s string) string { return strings.ToLower(s) }

// mostHosts is how many servers of a domain are tried (RFC 5321, section 5.1, wants two at least).
const mostHosts = 10

// hosts are the servers of a domain, the best first (RFC 5321, section 5.1).
func (q *Queue) hosts(ctx context.Context, domain string) ([]string, *smtp.Error) {
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		return []string{strings.TrimPrefix(strings.TrimSuffix(literal, "]"), "ipv6:")}, nil
	}
	all, err := q.o.Resolver.LookupMX(ctx, domain)
	if missing := new(net.DNSError); errors.As(err, &missing) && missing.IsNotFound || err == nil && len(all) == 0 {
		return []string{domain}, nil // the domain is its own server, or there is none, as connecting shows
	}
	if err != nil && len(all) == 0 { // with some, the others have names that are none
		return nil, errLookup
	}
	if len(all) == 1 && (all[0].Host == "." || all[0].Host == "") {
		return nil, errNoMail
	}
	rand.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	slices.SortStableFunc(all, func(a, b *net.MX) int { return int(a.Pref) - int(b.Pref) })
	var names []string
	for _, mx := range all {
		name := lower(strings.TrimSuffix(mx.Host, "."))
		if name == lower(q.o.Name) {
			all = slices.DeleteFunc(all, func(other *net.MX) bool { return other.Pref >= mx.Pref })
			break
		}
	}
	for _, mx := range all {
		if name := strings.TrimSuffix(mx.Host, "."); len(names) < mostHosts {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errLoop
	}
	return names, nil
}

// connect finds a server for a domain that answers.
func (q *Queue) connect(ctx context.Context, domain string) (c *smtp.Client, host string, failed *smtp.Error) {
	o := smtp.DialOptions{ClientOptions: q.o.Client, Security: q.o.Security, TLS: q.o.TLS, Dial: q.o.Dial}
	addresses := []string{q.o.Smarthost}
	if q.o.Smarthost != "" {
		o.Auth = q.o.Auth
	} else {
		hosts, failed := q.hosts(ctx, domain)
		if failed != nil {
			return nil, "", failed
		}
		addresses = nil
		for _, h := range hosts {
			addresses = append(addresses, net.JoinHostPort(h, q.o.Port))
		}
	}
	failed = errReach
	for _, a := range addresses {
		c, err := smtp.Dial(ctx, a, o)
		if err == nil {
			return c, a, nil
		}
		q.o.Log.Info("queue: a server can't be used", "server", a, "err", err)
		host = a
		if missing := new(net.DNSError); errors.As(err, &missing) && missing.IsNotFound && len(addresses) == 1 {
			failed = errNoDomain
		}
		if e := new(smtp.Error); errors.As(err, &e) && e.Code >= 500 && len(addresses) == 1 {
			failed = e
		}
	}
	return nil, host, failed
}
