package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/seal"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func sessionCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "session", Short: "See and end your own sessions"}
	c.AddCommand(
		&cobra.Command{
			Use: "list", Short: "List your open sessions, newest first", Args: takes(),
			RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
				return listSessions(a, c, to, client.Path("me", "sessions"))
			}),
		},
		&cobra.Command{
			Use: "revoke ID", Short: "End one of your sessions", Args: takes("ID"),
			RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
				return endSessions(a, c, to, client.Path("me", "sessions", args[0], "revoke"))
			}),
		},
		&cobra.Command{
			Use: "revoke-others", Short: "End all your sessions but this one", Args: takes(),
			RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
				return endSessions(a, c, to, client.Path("me", "sessions", "revoke-others"))
			}),
		})
	return c
}

func listSessions(a *cli, c *cobra.Command, to *client.Client, path string) error {
	return listing(a, c, to, path, nil, maxPeople, "ID OPENED USED ENDS NOTE", func(s api.OpenSession) []string {
		note := ""
		switch {
		case s.Current:
			note = "this one"
		case s.Browser:
			note = "in a browser"
		}
		return []string{s.ID, ago(s.CreatedAt), ago(s.UsedAt), ago(s.Expires), note}
	})
}

func endSessions(a *cli, c *cobra.Command, to *client.Client, path string) error {
	done, err := client.Post[api.Ended](c.Context(), to, path, struct{}{})
	if err != nil {
		return err
	}
	return show(a, c.OutOrStdout(), done, func(e api.Ended) string { return fmt.Sprintf("%d sessions ended\n", e.Sessions) })
}

func passwordCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "password", Short: "Change your password"}
	var fromStdin bool
	change := &cobra.Command{
		Use:   "change",
		Short: "Set a new password by the old one",
		Long: "Sets a new password by the old one; all your other sessions end. Both are asked for without echo, or read as two lines\n" +
			"of standard input, the old one first. They leave this program sealed, and are never arguments.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			old, password, err := twoSecrets(c, fromStdin, "Old password")
			if err != nil {
				return err
			}
			defer old.Zero()
			defer password.Zero()
			done, err := client.ChangePassword(c.Context(), to, old, password)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), done, func(api.Done) string { return "the password is changed; your other sessions have ended\n" })
		}),
	}
	change.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the old password and the new one from standard input, a line each")
	c.AddCommand(change)
	return c
}

func linkCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "link", Short: "Use the link that you were sent"}
	var fromStdin bool
	redeem := &cobra.Command{
		Use:   "redeem",
		Short: "Set your password by an invitation or a reset link",
		Long: "Sets your password by an invitation or a reset link, which works once. Link and password are asked for without echo, or\n" +
			"read as two lines of standard input, the link first; they are never arguments, and leave this program sealed. Without\n" +
			"--server and SB_SERVER the server is the one that the link names.",
		Args: takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			link, password, err := twoSecrets(c, fromStdin, "Link")
			if err != nil {
				return err
			}
			defer link.Zero()
			defer password.Zero()
			token, server, err := readLink(link)
			if err != nil {
				return err
			}
			if given(a.server, "SB_SERVER") == "" {
				a.server = server
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
			done, err := client.Redeem(c.Context(), to, token, password)
			if err != nil {
				return a.whoseKey(err)
			}
			return show(a, c.OutOrStdout(), done, func(api.Done) string { return "the password is set; sign in with sb login --email YOU\n" })
		},
	}
	redeem.Flags().BoolVar(&fromStdin, "password-stdin", false, "read the link and the new password from standard input, a line each")
	c.AddCommand(redeem)
	return c
}

// readLink finds the token in a link, or takes a token alone; the server is empty then.
func readLink(link secret.Value) (secret.Value, string, error) {
	text := strings.TrimSpace(string(link.Expose()))
	address, token, isLink := strings.Cut(text, "#link=")
	if !isLink {
		return secret.New([]byte(text)), "", nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return secret.Value{}, "", usage("the link is not one of Secrets Bridge")
	}
	return secret.New([]byte(token)), "https://" + u.Host, nil
}

// twoSecrets asks for what opens and for the new password, which is typed twice.
func twoSecrets(c *cobra.Command, fromStdin bool, first string) (secret.Value, secret.Value, error) {
	none := func(err error) (secret.Value, secret.Value, error) { return secret.Value{}, secret.Value{}, err }
	if fromStdin {
		text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 2*maxPassword+1))
		if err != nil {
			return none(fail("fault", "read from standard input: %w", err))
		}
		defer clear(text)
		var lines [][]byte
		for scanner := bufio.NewScanner(bytes.NewReader(text)); scanner.Scan(); {
			lines = append(lines, bytes.Clone(scanner.Bytes()))
		}
		if len(lines) != 2 || len(lines[0]) == 0 || len(lines[1]) == 0 {
			return none(usage("standard input holds two lines: %s, and the new password", strings.ToLower(first)))
		}
		return secret.New(lines[0]), secret.New(lines[1]), nil
	}
	if !isTerminal(os.Stdin) {
		return none(usage("there is no terminal to ask on; send two lines with --password-stdin"))
	}
	opens, err := ask(c, first)
	if err != nil {
		return none(err)
	}
	password, err := ask(c, "New password")
	if err != nil {
		return none(err)
	}
	again, err := ask(c, "New password again")
	if err != nil {
		return none(err)
	}
	defer again.Zero()
	switch {
	case len(opens.Expose()) == 0 || len(password.Expose()) == 0:
		return none(usage("nothing was typed"))
	case !bytes.Equal(password.Expose(), again.Expose()):
		return none(usage("the two new passwords differ"))
	}
	return opens, password, nil
}
