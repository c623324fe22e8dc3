package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

const (
	// browserTime is how long somebody may take in the browser: as long as the server waits.
	browserTime = 10 * time.Minute

	// codeLength is that of base64url of 32 bytes.
	codeLength = 43

	// maxRefusal bounds a code of a refusal that a browser brings.
	maxRefusal = 60
)

// signOn signs in by the identity provider: a browser on this machine goes there and comes back
// to a port of ours with a code (RFC 8252). The code is worth nothing without the verifier,
// which leaves this program sealed, with the key of the session.
func signOn(c *cobra.Command, to *client.Client, open bool) (client.Item[api.Session], error) {
	none := client.Item[api.Session]{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return none, fail("fault", "listen for the browser: %w", err)
	}
	defer listener.Close()
	verifier := secret.New(base64.RawURLEncoding.AppendEncode(nil, randomBytes()))
	defer verifier.Zero()
	challenge := sha256.Sum256(verifier.Expose())
	address := client.SignOnURL(to, listener.Addr().(*net.TCPAddr).Port, base64.RawURLEncoding.EncodeToString(challenge[:]))
	fmt.Fprintf(c.ErrOrStderr(), "Sign in with a browser on this machine:\n  %s\n", clean(address))
	if open {
		openBrowser(address)
	}
	code, err := awaitCode(c.Context(), listener)
	if err != nil {
		return none, err
	}
	defer code.Zero()
	return client.RedeemCode(c.Context(), to, code, verifier)
}

func randomBytes() []byte {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails: crypto/rand, Go 1.24
	return raw
}

// openBrowser opens an address where it can. It is a convenience: the address was printed.
func openBrowser(address string) {
	name := "xdg-open"
	args := []string{address}
	switch chosen := os.Getenv("BROWSER"); {
	case chosen != "":
		name = chosen
	case runtime.GOOS == "darwin":
		name = "open"
	case runtime.GOOS == "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	cmd := exec.Command(name, args...) // no shell: an address is one argument
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }()
	}
}

// returned is what the browser brings: a code, or why there is none.
type returned struct {
	code    secret.Value
	refusal string
}

// awaitCode waits until a browser brings a code.
func awaitCode(ctx context.Context, listener net.Listener) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, browserTime)
	defer cancel()
	brought := make(chan returned, 1)
	srv := &http.Server{
		Handler:           waiting(listener.Addr().String(), brought),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	var got returned
	var err error
	select {
	case got = <-brought:
	case err = <-served:
		err = fail("fault", "listen for the browser: %w", err)
	case <-ctx.Done():
		err = ctx.Err()
	}
	// The browser gets its page before we go on.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	_ = srv.Shutdown(end)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return secret.Value{}, fail("sign_in_ended", "nobody signed in within ten minutes; run it again")
	case err != nil:
		return secret.Value{}, err
	case got.refusal != "":
		return secret.Value{}, fail("sign_in_ended", "the sign-in ended with %s; docs/reference/errors.md explains it", got.refusal)
	}
	return got.code, nil
}

// waiting is the handler that a browser comes back to, once. A page that only guesses the port
// reaches it by another name, or without a code that has the right form.
func waiting(host string, brought chan<- returned) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Type", "text/plain; charset=utf-8")
		q := r.URL.Query()
		code, refusal := q.Get("code"), q.Get("error")
		if r.Method != http.MethodGet || r.Host != host || r.URL.Path != "/done" || len(q) != 1 || !isCode(code) && !isRefusal(refusal) {
			http.Error(w, "there is nothing here", http.StatusNotFound)
			return
		}
		select {
		case brought <- returned{secret.New([]byte(code)), refusal}:
			fmt.Fprintln(w, "Go back to the command line. This page can be closed.")
		default:
			http.Error(w, "somebody was here before", http.StatusConflict)
		}
	})
}

func isCode(text string) bool {
	return len(text) == codeLength && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

func isRefusal(text string) bool {
	return text != "" && len(text) <= maxRefusal && !strings.ContainsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
}
