package mail

import (
	"errors"
	"net/smtp"
	"strings"

	"secretsbridge/internal/secret"
)

// errSignIn says that there is no way to sign in that both sides know.
var errSignIn = errors.New("the mail server offers neither PLAIN nor LOGIN to sign in with: unset SB_SMTP_USERNAME, or use another server")

// signIn tells the server who we are, by PLAIN (RFC 4616) or else by LOGIN, which is all that some
// services offer. Neither goes over a connection in clear, but on this machine: net/smtp refuses
// PLAIN there, and so does loginAuth.
func (s *Sender) signIn(client *smtp.Client) error {
	password, err := s.cfg.Password()
	if err != nil {
		return err
	}
	defer password.Zero()
	_, mechanisms := client.Extension("AUTH")
	for _, m := range strings.Fields(mechanisms) {
		if strings.EqualFold(m, "PLAIN") {
			return client.Auth(smtp.PlainAuth("", s.cfg.Username, string(password.Expose()), s.cfg.Host))
		}
	}
	for _, m := range strings.Fields(mechanisms) {
		if strings.EqualFold(m, "LOGIN") {
			return client.Auth(&loginAuth{username: s.cfg.Username, password: password})
		}
	}
	return errSignIn
}

// loginAuth answers the two questions of LOGIN (draft-murchison-sasl-login-00).
type loginAuth struct {
	username string
	password secret.Value
	asked    int
}

// Start implements smtp.Auth.
func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if host := server.Name; !server.TLS && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return "", nil, errors.New("a password does not go over a connection in clear")
	}
	return "LOGIN", nil, nil
}

// Next implements smtp.Auth. The first question is for the name and the second for the password,
// whatever their words are.
func (a *loginAuth) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	a.asked++
	switch a.asked {
	case 1:
		return []byte(a.username), nil
	case 2:
		return []byte(string(a.password.Expose())), nil
	}
	return nil, errors.New("the mail server asks more than a name and a password")
}
