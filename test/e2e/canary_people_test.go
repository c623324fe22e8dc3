package e2e_test

import (
	"strings"
	"testing"
)

// people has somebody come in by a link, with a password, an app and codes, and a machine by a
// token. What proves who they are is kept by its hash or sealed, so it rests nowhere either. The
// server shows some of it once, by HTTP, whose buffers it does not erase: its memory may have that.
func (c *canaries) people(t *testing.T) {
	t.Helper()
	unused := first(c.must(t, "admin", "person", "invite", mailOf("keeper"), "--name", "Somebody KEEPER"))
	link := first(c.must(t, "admin", "person", "reset-link", mailOf("keeper"))) // takes its place
	secret := c.Value("password-of-a-keeper")                                   // arrives sealed
	shown := func(name, text string) { c.keep(name, []byte(text), "memory of sb-server") }
	for name, text := range map[string]string{"link": link, "unused link": unused} {
		_, token, found := strings.Cut(text, "#link=")
		if !found {
			t.Fatalf("no link: %q", text)
		}
		shown(name, token)
	}
	for _, typed := range [][]string{
		{link + "\n" + secret + "\n", "link", "redeem", "--password-stdin"},
		{secret + "\n", "login", "--email", mailOf("keeper"), "--password-stdin"},
	} {
		if got := c.sbIn(t, "keeper", typed[0], typed[1:]...); got.code != 0 {
			t.Fatalf("sb %s: exit %d: %s", strings.Join(typed[1:], " "), got.code, got.stderr)
		}
	}
	app := c.addPhone(t, "keeper")
	shown("secret of an app", app.secret)
	c.stepUp(t, "keeper", app)
	codes := strings.Fields(c.must(t, "keeper", "factor", "recovery-codes"))
	if len(codes) != 10 {
		t.Fatalf("%d recovery codes", len(codes))
	}
	shown("recovery code", codes[0])
	shown("unused recovery code", codes[1])
	if got := c.sbIn(t, "keeper", codes[0], "step-up", "--code-stdin"); got.code != 0 {
		t.Fatalf("a recovery code: exit %d: %s", got.code, got.stderr)
	}

	c.must(t, "admin", "machine", "create", "robot")
	c.must(t, "admin", "grant", "give", "robot", "--role", "developer")
	token := first(c.must(t, "admin", "machine", "token", "issue", "robot", "--name", "own", "--permission", "request.list", "--until", "1d"))
	shown("token of a machine", token)
	if got := c.byToken(t, token, "request", "list"); got.code != 0 {
		t.Fatalf("a machine: exit %d: %s", got.code, got.stderr)
	}
}
