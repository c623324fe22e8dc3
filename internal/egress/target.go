package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
)

// maxURL bounds an address, in bytes. Those of Teams workflows have about 300.
const maxURL = 2048

// Target reads an address that is to be called: https://HOST[:PORT][/PATH][?QUERY]. Errors begin
// with what it is, such as "the URL", and do not quote it. Whether the host may be called is decided
// at each call.
func Target(what, text string) (*url.URL, error) {
	if len(text) > maxURL {
		return nil, fmt.Errorf("%s has more than %d bytes", what, maxURL)
	}
	at, err := url.Parse(text)
	if err != nil {
		return nil, errors.New(what + " is no URL: write https://HOST[:PORT]/PATH")
	}
	if err := check(at, false); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if at.Fragment != "" {
		return nil, errors.New(what + " has a part after #, which is never sent: write it without")
	}
	return at, nil
}

// PlainTarget is [Target] that takes http://, too, if the host is a loopback address, for clients
// whose policy has [Policy.PlainLoopback]. A name does not do: it may lead elsewhere tomorrow.
func PlainTarget(what, text string) (*url.URL, error) {
	if at, err := url.Parse(text); err == nil && len(text) <= maxURL && at.Scheme == "http" && at.Fragment == "" {
		if err := check(at, true); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return at, nil
	}
	return Target(what, text)
}

// loopback reports whether a host is an address of this machine alone.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// check refuses, with ErrForbidden, what is no plain https URL. With plain, http to a loopback
// address does as well.
func check(at *url.URL, plain bool) error {
	switch {
	case at.Scheme != "https" && !(at.Scheme == "http" && plain && loopback(at.Hostname())):
		return fmt.Errorf("%w: write https://HOST[:PORT]/PATH", ErrForbidden)
	case at.User != nil:
		return fmt.Errorf("%w: there is a name or a password before the host", ErrForbidden)
	case at.Hostname() == "" || at.Opaque != "":
		return fmt.Errorf("%w: there is no host", ErrForbidden)
	}
	if port := at.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%w: the port is not 1 to 65535", ErrForbidden)
		}
	}
	return nil
}
