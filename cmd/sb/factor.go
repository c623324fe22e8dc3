package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxCode bounds what is read as a code, in bytes. A recovery code has 19.
const maxCode = 64

func factorCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "factor", Short: "Your second factors"}
	c.AddCommand(listFactorsCommand(a), addTOTPCommand(a), removeFactorCommand(a), recoveryCodesCommand(a))
	return c
}

func listFactorsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List your second factors",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			mine, err := client.Get[api.Factors](c.Context(), to, client.Path("me", "factors"), nil)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return writeJSON(c.OutOrStdout(), mine.Raw)
			}
			items := make([]client.Item[api.Factor], len(mine.Value.Items))
			for i, f := range mine.Value.Items {
				items[i].Value = f
			}
			err = list(a, c.OutOrStdout(), items, "ID KIND NAME ENROLLED USED LOCKED", func(f api.Factor) []string {
				return []string{f.ID, f.Kind, f.Name, when(f.EnrolledAt), whenever(f.UsedAt), whenever(f.LockedUntil)}
			})
			note(c, "%d recovery codes are left", mine.Value.RecoveryCodes)
			return err
		}),
	}
}

func addTOTPCommand(a *cli) *cobra.Command {
	var m api.NewTOTP
	var fromStdin bool
	c := &cobra.Command{
		Use:   "add-totp",
		Short: "Enrol an authenticator app",
		Long: "Makes the secret of an authenticator app and shows it once, as text and as the address that a QR code\n" +
			"holds. The app counts when its first code was given. The first factor is enrolled within five minutes\n" +
			"after signing in; for every other one you prove one that you have. A passkey is enrolled in a browser.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			if !fromStdin && !isTerminal(os.Stdin) {
				return usage("there is no terminal to ask for the first code; send it with --code-stdin")
			}
			made, err := client.Post[api.TOTP](c.Context(), to, client.Path("me", "factors", "totp"), m)
			if err != nil {
				return err
			}
			defer clear(made.Raw)
			err = show(a, c.OutOrStdout(), made, func(t api.TOTP) string { return fields("Secret", t.Secret, "Address", t.URI) })
			if err != nil {
				return err
			}
			code, err := readCode(c, fromStdin, "First code of the app")
			if err != nil {
				return err
			}
			defer code.Zero()
			given := api.TOTPCode{Code: bare(code)}
			done, err := client.Post[api.Enrolled](c.Context(), to, client.Path("me", "factors", "totp", made.Value.ID, "confirm"), given)
			if err != nil {
				return err
			}
			if a.output == "json" {
				return writeJSON(c.OutOrStdout(), done.Raw)
			}
			note(c, "enrolled %s; with its next code `sb factor recovery-codes` makes codes for the day when it is lost", done.Value.ID)
			return nil
		}),
	}
	c.Flags().StringVar(&m.Name, "name", "", "what you call it, to tell it from others")
	c.Flags().BoolVar(&fromStdin, "code-stdin", false, "read the first code from standard input, after the secret was shown")
	return c
}

func removeFactorCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a second factor",
		Long: "Removes a factor; it counts no more at once, and neither does what you proved before. With the last\n" +
			"factor go the recovery codes.",
		Args: takes("ID"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("me", "factors", args[0], "remove"), struct{}{}, "removed "+args[0])
		}),
	}
}

func recoveryCodesCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "recovery-codes",
		Short: "Make recovery codes, in place of those that you have",
		Long: "Makes ten codes that each prove you once when everything else is lost. They are shown once; those from\n" +
			"before open nothing any more.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			made, err := client.Post[api.RecoveryCodes](c.Context(), to, client.Path("me", "recovery-codes"), struct{}{})
			if err != nil {
				return err
			}
			defer clear(made.Raw)
			return show(a, c.OutOrStdout(), made, func(m api.RecoveryCodes) string {
				var text strings.Builder
				for _, code := range m.Codes {
					text.WriteString(clean(code) + "\n")
				}
				return text.String()
			})
		}),
	}
}

func stepUpCommand(a *cli) *cobra.Command {
	var fromStdin bool
	c := &cobra.Command{
		Use:   "step-up",
		Short: "Prove a second factor for what comes next",
		Long: "Takes a code of your authenticator app, or a recovery code, so that commands that need one go on without\n" +
			"asking for a while. In a terminal they ask by themselves. A passkey needs a browser.",
		Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			code, err := readCode(c, fromStdin, "Code of your authenticator app, or a recovery code")
			if err != nil {
				return err
			}
			defer code.Zero()
			done, err := client.Post[api.Done](c.Context(), to, client.Path("me", "step-up"), proofOf(code))
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), done, func(api.Done) string { return "stepped up\n" })
		}),
	}
	c.Flags().BoolVar(&fromStdin, "code-stdin", false, "read the code from standard input")
	return c
}

// stepsUp lets commands ask for a code where the server wants a second factor. Without a
// terminal they fail, and say so.
func stepsUp(c *cobra.Command, to *client.Client) {
	if !isTerminal(os.Stdin) {
		return
	}
	to.WhenStepUp(func(ctx context.Context) error {
		mine, err := client.Get[api.Factors](ctx, to, client.Path("me", "factors"), nil)
		if err != nil {
			return err
		}
		app := slices.ContainsFunc(mine.Value.Items, func(f api.Factor) bool { return f.Kind == "totp" })
		if !app && mine.Value.RecoveryCodes == 0 {
			return fail("passkey_only", "this needs a second factor, and a passkey is the only one that you have: it needs a browser")
		}
		note(c, "this needs a second factor")
		what := "Recovery code"
		if app {
			what = "Code of your authenticator app, or a recovery code"
		}
		code, err := readCode(c, false, what)
		if err != nil {
			return err
		}
		defer code.Zero()
		_, err = client.Post[api.Done](ctx, to, client.Path("me", "step-up"), proofOf(code))
		return err
	})
}

// readCode reads a code from the terminal, or the rest of standard input.
func readCode(c *cobra.Command, fromStdin bool, what string) (secret.Value, error) {
	if !fromStdin {
		if !isTerminal(os.Stdin) {
			return secret.Value{}, usage("there is no terminal to ask for the code; send it with --code-stdin")
		}
		code, err := ask(c, what)
		if err == nil && bare(code) == "" {
			err = usage("no code was typed")
		}
		return code, err
	}
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxCode+1))
	code := secret.New(text)
	switch {
	case err != nil:
		return secret.Value{}, fail("fault", "read the code: %w", err)
	case bare(code) == "":
		return secret.Value{}, usage("standard input holds no code")
	case len(text) > maxCode:
		return secret.Value{}, usage("standard input holds more than a code")
	}
	return code, nil
}

// bare is a code without blanks, as apps show them in two halves.
func bare(code secret.Value) string {
	return strings.Join(strings.Fields(string(code.Expose())), "")
}

// proofOf tells codes apart by their form: an app's has six digits.
func proofOf(code secret.Value) api.StepUp {
	text := bare(code)
	if _, err := strconv.ParseUint(text, 10, 32); err == nil && len(text) == 6 {
		return api.StepUp{TOTPCode: text}
	}
	return api.StepUp{RecoveryCode: text}
}
