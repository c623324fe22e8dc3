package oidc

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxReturn is how long a path to come back to may be, in bytes.
const maxReturn = 512

// ValidReturn reports whether a browser may be sent there after a sign-in: a path of ours,
// perhaps with a query, that no browser takes for the address of another site. Browsers take
// "\" for "/", drop tabs and line ends anywhere, and take "//" for the beginning of a host
// (WHATWG URL, section 4.4).
func ValidReturn(path string) bool {
	if len(path) > maxReturn || !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, `\`) || !utf8.ValidString(path) {
		return false
	}
	for _, c := range path {
		if c <= ' ' || c >= 0x7f {
			return false // a path is percent-encoded where it is not ASCII
		}
	}
	at, err := url.Parse(path)
	return err == nil && at.Scheme == "" && at.Host == "" && at.User == nil && at.Opaque == ""
}
