package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"secretsbridge/internal/secret"
)

// ask asks on the terminal that standard input is, without echo. A signal ends it, and
// gives the terminal its echo back.
func ask(c *cobra.Command, what string) (secret.Value, error) {
	stdin := int(os.Stdin.Fd())
	before, err := term.GetState(stdin)
	if err != nil {
		return secret.Value{}, fail("fault", "ask on the terminal: %w", err)
	}
	type typed struct {
		text []byte
		err  error
	}
	answer := make(chan typed, 1)
	fmt.Fprint(c.ErrOrStderr(), clean(what)+": ")
	go func() { // ends with the answer, or with the process
		text, err := term.ReadPassword(stdin)
		answer <- typed{text, err}
	}()
	select {
	case <-c.Context().Done():
		_ = term.Restore(stdin, before) // the process ends now, whatever this says
		fmt.Fprintln(c.ErrOrStderr())
		return secret.Value{}, context.Cause(c.Context())
	case got := <-answer:
		fmt.Fprintln(c.ErrOrStderr())
		if got.err != nil {
			return secret.Value{}, fail("fault", "read from the terminal: %w", got.err)
		}
		return secret.New(got.text), nil
	}
}
