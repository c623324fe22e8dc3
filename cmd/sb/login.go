package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxPassword bounds what is read as a password, in bytes.
const maxPassword = 4 << 10

func loginCommand(a *cli) *cobra.Command {
	var email string
	var fromStdin, sso, noBrowser bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in and keep the session",
		Long: "Signs in and keeps the session in SB_TOKEN_FILE, in place of an earlier one. The password is\n" +
			"asked for without echo, or read from standard input; it is never an argument. It leaves this\n" +
			"program sealed, together with a key made for the session, which signs every later call.\n\n" +
			"With --sso a browser on this machine signs in by the identity provider instead: the one that BROWSER\n" +
			"names, or the system's.",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case sso && (email != "" || fromStdin):
				return usage("--sso takes neither e-mail nor password: the identity provider asks for them")
			case !sso && email == "":
				return usage("--email or --sso must be given; see %s --help", c.CommandPath())
			case !sso && noBrowser:
				return usage("--no-browser goes with --sso")
			}
			file, err := findTokenFile()
			if err != nil {
				return err
			}
			own, err := seal.GenerateSigningKey()
			if err != nil {
				return err
			}
			to, err := a.dial(secret.Value{}, own, state{})
			if err != nil {
				return err
			}
			defer to.Close()
			var session client.Item[api.Session]
			if sso {
				session, err = signOn(c, to, !noBrowser)
			} else {
				session, err = signInByPassword(c, to, email, fromStdin)
			}
			if err != nil {
				return a.whoseKey(err)
			}
			// The position is the new session's: one of an earlier life of the server
			// would be waited for in vain.
			kept := state{Server: to.Server(), Sequence: to.Sequence(), ServerKey: to.ServerKey(), Clock: to.Clock()}
			if err := file.save(session.Value.Token, own, kept); err != nil {
				return err
			}
			if a.output == "json" {
				return encode(c.OutOrStdout(), session.Value.Person) // the token stays in its file
			}
			who := session.Value.Person
			roles := "no roles yet"
			if len(who.Roles) > 0 {
				roles = strings.Join(who.Roles, ", ")
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "signed in as %s (%s), at most until %s\n",
				clean(who.Email), clean(roles), when(session.Value.Expires))
			return err
		},
	}
	c.Flags().StringVar(&email, "email", "", "your e-mail address")
	c.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the password from standard input; one line end at its end is dropped")
	c.Flags().BoolVar(&sso, "sso", false, "sign in by the identity provider, in a browser on this machine")
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "with --sso: only print the address to open")
	return c
}

func signInByPassword(c *cobra.Command, to *client.Client, email string, fromStdin bool) (client.Item[api.Session], error) {
	password, err := readPassword(c, fromStdin)
	if err != nil {
		return client.Item[api.Session]{}, err
	}
	defer password.Zero()
	return client.SignIn(c.Context(), to, email, password)
}

func readPassword(c *cobra.Command, fromStdin bool) (secret.Value, error) {
	if !fromStdin {
		return askPassword(c)
	}
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxPassword+1))
	if err != nil {
		return secret.Value{}, fail("fault", "read the password: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) == 0:
		return secret.Value{}, usage("standard input holds no password")
	case len(text) > maxPassword:
		return secret.Value{}, usage("standard input holds more than a password")
	}
	return secret.New(text), nil
}

// askPassword asks on the terminal.
func askPassword(c *cobra.Command) (secret.Value, error) {
	if !isTerminal(os.Stdin) {
		return secret.Value{}, usage("there is no terminal to ask for the password; send it with --password-stdin")
	}
	password, err := ask(c, "Password")
	switch {
	case err != nil:
		return secret.Value{}, err
	case len(password.Expose()) == 0:
		return secret.Value{}, usage("no password was typed")
	}
	return password, nil
}

func logoutCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "End the session and forget it",
		Long: "Ends the session at the server and forgets it here. If the server cannot be reached the session\n" +
			"is kept, so that it can be ended later.",
		Args: takes(),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := findTokenFile()
			if err != nil {
				return err
			}
			err = a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
				return client.SignOut(c.Context(), to)
			})(c, args)
			// A session that has ended already is what was asked for.
			var refused *client.Refused
			if ended := errors.As(err, &refused) && refused.Problem.Status == 401; err != nil && !ended {
				return err
			}
			return file.remove()
		},
	}
}

func whoamiCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show who is signed in",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			me, err := client.Get[api.Me](c.Context(), to, client.Path("me"), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), me, func(me api.Me) string {
				return fields("E-mail", me.Email, "Name", me.Name, "Id", me.ID,
					"Roles", strings.Join(me.Roles, ", "), "May", strings.Join(me.Permissions, ", "))
			})
		}),
	}
}
