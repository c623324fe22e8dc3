package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxHops is how many proxies are looked through. Each writes one address.
const maxHops = 16

// network is whom a call's address belongs to: an IPv4 address, or the /64 that one
// customer gets in IPv6.
func (a *API) network(r *http.Request) string {
	addr, ok := a.caller(r)
	if !ok {
		return r.RemoteAddr
	}
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.String()
}

// caller is the address that a call comes from. A proxy that is trusted says in
// X-Forwarded-For from whom it has the call, at the right end; what stands to the left of
// the first address that is not trusted, anybody may have written. Forwarded (RFC 7239)
// is not read: a proxy that writes one of the two passes the other on as it came.
func (a *API) caller(r *http.Request) (netip.Addr, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, ok := parseAddr(host)
	if !ok || !a.trusts(addr) {
		return addr, ok
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	slices.Reverse(hops)
	for _, hop := range hops[:min(len(hops), maxHops)] {
		next, ok := parseAddr(strings.TrimSpace(hop))
		if !ok {
			break // nobody: whoever is behind this proxy shares its count
		}
		if addr = next; !a.trusts(addr) {
			break
		}
	}
	return addr, true
}

// parseAddr reads an address as it is to be compared: without a zone, and IPv4 as such.
func parseAddr(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

func (a *API) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
