package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// never are addresses that no policy opens: whoever reaches one is given credentials of this host,
// or speaks to whoever runs it.
var never = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local: AWS, Azure, GCP, OpenStack (169.254.169.254), ECS (169.254.170.2), EKS (169.254.170.23)
	netip.MustParsePrefix("fe80::/10"),          // likewise
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS: instance metadata (::254), EKS (::23)
	netip.MustParsePrefix("fd20:ce::254/128"),   // GCP
	netip.MustParsePrefix("fd00:42::42/128"),    // Scaleway
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure's wire server; a public address
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("0.0.0.0/8"),          // this host
	netip.MustParsePrefix("::/128"),             // likewise
	netip.MustParsePrefix("224.0.0.0/4"),        // groups
	netip.MustParsePrefix("ff00::/8"),           // likewise
	netip.MustParsePrefix("255.255.255.255/32"), // everybody
}

// private are the networks that are an organisation's own (RFC 1918, RFC 4193), and the shared
// space that clusters take for pods (RFC 6598).
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("fc00::/7"),
}

// carriers are networks whose addresses lead to an IPv4 address inside them, and where in the 16
// bytes that begins.
var carriers = []struct {
	network netip.Prefix
	at      int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},   // NAT64 (RFC 6052)
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12}, // NAT64 of a network's own (RFC 8215), in the form with 96 bits before
	{netip.MustParsePrefix("2002::/16"), 2},       // 6to4 (RFC 3056)
}

// guard decides about addresses. Library ssrf holds the special-purpose registries of IANA.
type guard struct {
	open *ssrf.Guardian
}

func newGuard(p Policy) guard {
	allowed := slices.Clone(p.Allow)
	if p.Private {
		allowed = append(allowed, private...)
	}
	var v4, v6 []netip.Prefix
	for _, n := range allowed {
		if n.Addr().Is4() {
			v4 = append(v4, n)
		} else {
			v6 = append(v6, n)
		}
	}
	return guard{ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))}
}

// admit says whether an address may be called; an error is of [ErrForbidden].
func (g guard) admit(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("") // a zone would hide an address from every prefix
	if within(never, addr) {
		return fmt.Errorf("%w: nobody may call %s", ErrForbidden, addr)
	}
	if err := g.open.SafeAddr(addr); err != nil {
		return fmt.Errorf("%w: %s is not of the internet, and SB_EGRESS_ALLOW does not list it", ErrForbidden, addr)
	}
	for _, c := range carriers {
		if c.network.Contains(addr) { // it is allowed itself: what it leads to must be, too
			bytes := addr.As16()
			inner, _ := netip.AddrFromSlice(bytes[c.at : c.at+4])
			return g.admit(inner)
		}
	}
	return nil
}

// control is called with the address of each connection, right before it is made.
func (g guard) control(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("%w: it is no address of TCP", ErrForbidden)
	}
	return g.admit(at.Addr())
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}
