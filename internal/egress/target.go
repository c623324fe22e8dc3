package egress

import (
	"errors"
	"fmt"
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
	if err := check(at); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if at.Fragment != "" {
		return nil, errors.New(what + " has a part after #, which is never sent: write it without")
	}
	return at, nil
}

// check refuses, with ErrForbidden, what is no plain https URL.
func check(at *url.URL) error {
	switch {
	case at.Scheme != "https":
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
