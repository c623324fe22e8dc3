package web

import (
	"net/http"
	"time"
)

// Cookies of browsers. The prefix makes a browser take them from this host alone, over TLS, for
// all of its paths (RFC 6265bis, section 4.1.3.2).
const (
	sessionCookie = "__Host-sb_session" // the token of a session
	loginCookie   = "__Host-sb_login"   // who began a sign-in by the identity provider
)

func setCookie(w http.ResponseWriter, name, value string, life time.Duration, site http.SameSite) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()), Secure: true, HttpOnly: true, SameSite: site,
	})
}

// dropCookie makes a browser forget a cookie.
func dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}

// cookieOf is the value of a cookie, empty if it is not there exactly once.
func cookieOf(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}
