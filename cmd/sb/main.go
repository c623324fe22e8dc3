// Command sb is the command line of developers, approvers, operators and auditors. It
// speaks the HTTP API and nothing else, keeps one session in a file of its owner's, and
// has exit codes that scripts can use (docs/reference/cli.md).
//
//go:generate go test -run TestReferenceIsCurrent -count=1 . -update
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"secretsbridge/internal/build"
)

func main() { os.Exit(run()) }

// run returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // the second signal ends the process at once
	}()
	err := command().ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	f := explain(err)
	fmt.Fprintf(os.Stderr, "sb: %s (%s)\n", clean(f.text), clean(f.code))
	return f.exit
}

// cli is what the global flags and the environment say.
type cli struct {
	server, ca, serverKey, output string
}

func command() *cobra.Command {
	a := &cli{}
	root := &cobra.Command{
		Use:   "sb",
		Short: "Ask for secrets, decide on requests, open values once",
		Long: "Ask for secrets, decide on requests, open values once.\n\n" +
			"The server's address and its CA come from the flags or from SB_SERVER and SB_CA_FILE; the\n" +
			"session is kept in SB_TOKEN_FILE (by default secrets-bridge/token in your configuration folder).",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.server, "server", "", "https URL of the server (SB_SERVER)")
	flags.StringVar(&a.ca, "ca", "", "PEM file of the CA that signs the server's certificate; no other is accepted then (SB_CA_FILE)")
	flags.StringVar(&a.serverKey, "server-key", "", "signing key of the server, ed25519:…; without it the first one seen after a login is kept (SB_SERVER_KEY)")
	flags.StringVar(&a.output, "output", "text", "text, or json for exactly what the API answers; some commands have one more")
	root.AddCommand(
		loginCommand(a), logoutCommand(a), whoamiCommand(a),
		requestCommand(a), inboxCommand(a), approveCommand(a), rejectCommand(a), cancelCommand(a), revealCommand(a),
		discoverCommand(a), fingerprintCommand(a), jobCommand(a), secretCommand(a), ownershipCommand(a), reportCommand(a),
		agentCommand(a), connectionCommand(a), integrationCommand(a), auditCommand(a), supportCommand(a), versionCommand(a),
		factorCommand(a), stepUpCommand(a),
		personCommand(a), grantCommand(a), machineCommand(a), sessionCommand(a), passwordCommand(a), linkCommand(a), delegationCommand(a), noticesCommand(a),
		applyCommand(a), exportCommand(a), lintCommand(a), governanceCommand(a), amendmentCommand(a), policyCommand(a),
	)
	root.SetHelpCommand(helpCommand(root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, c.CommandPath())
	})
	strict(root, a)
	return root
}

// strict makes every mistake in arguments and flags an error with the exit code for it:
// by itself, cobra answers some of them with a help text and success.
func strict(c *cobra.Command, a *cli) {
	if !c.Runnable() {
		c.Args = cobra.ArbitraryArgs
		c.RunE = group
	} else if takes := c.Args; takes != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := takes(c, args); err != nil {
				return usage("%w; see %s --help", err, c.CommandPath())
			}
			return nil
		}
	}
	if run := c.RunE; run != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			formats := []string{"text", "json"}
			if own := c.Annotations[ownOutput]; own != "" {
				formats = []string{"text", "json", own}
			}
			if !slices.Contains(formats, a.output) {
				last := len(formats) - 1
				return usage("--output is %s or %s", strings.Join(formats[:last], ", "), formats[last])
			}
			if err := missing(c); err != nil {
				return err
			}
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		strict(sub, a)
	}
}

// group is a command that only holds others.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 && !c.HasParent() {
		return c.Help()
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	what := "unknown command"
	if len(args) == 0 {
		what = "a command is missing"
	}
	return usage("%s: %s has %s", what, c.CommandPath(), strings.Join(names, ", "))
}

// takes is the arguments of a command. What was typed is not repeated in the error: it
// may be a password in the wrong place.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0:
			return errors.New(c.CommandPath() + " takes no arguments")
		case len(args) < len(names):
			return errors.New(names[len(args)] + " is missing")
		}
		return errors.New(c.CommandPath() + " takes only " + strings.Join(names, " "))
	}
}

// helpCommand is cobra's, but for a command that does not exist.
func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usage("unknown command; see %s --help", found.CommandPath())
			}
			return found.Help()
		},
	}
}

const requiredFlag = "sb_required"

// require marks flags that have no default.
func require(c *cobra.Command, names ...string) {
	for _, name := range names {
		f := c.Flags().Lookup(name)
		f.Usage += " (required)"
		f.Annotations = map[string][]string{requiredFlag: nil}
	}
}

// missing refuses a call without a required flag.
func missing(c *cobra.Command) error {
	var names []string
	for _, name := range sortedFlags(c) {
		f := c.Flags().Lookup(name)
		if _, required := f.Annotations[requiredFlag]; required && !f.Changed {
			names = append(names, "--"+name)
		}
	}
	if len(names) > 0 {
		return usage("%s must be given; see %s --help", strings.Join(names, " and "), c.CommandPath())
	}
	return nil
}

func versionCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  takes(),
		RunE: func(c *cobra.Command, _ []string) error {
			if a.output == "json" {
				return encode(c.OutOrStdout(), map[string]string{"version": build.Version()})
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), build.Version())
			return err
		},
	}
}

// ownOutput names the one format that a command has beside text and json.
const ownOutput = "sb_output"

func alsoOutputs(c *cobra.Command, format string) *cobra.Command {
	c.Annotations = map[string]string{ownOutput: format}
	return c
}

func sortedFlags(c *cobra.Command) []string {
	var names []string
	c.LocalFlags().VisitAll(func(f *flag) { names = append(names, f.Name) })
	slices.Sort(names)
	return names
}
