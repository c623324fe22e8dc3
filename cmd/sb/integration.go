package main

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/internal/secret"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxIntegrationSecret bounds what is read as a url or a token, in bytes: package integrations.
const maxIntegrationSecret = 4096

func integrationCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "integration", Short: "Say who is told of what, and what is looked at after a patch"}
	c.AddCommand(listIntegrationsCommand(a), showIntegrationCommand(a), createIntegrationCommand(a), changeIntegrationCommand(a), rotateCommand(a),
		integrationVerb(a, "disable", "disabled", "Send nothing, and look at nothing"), integrationVerb(a, "enable", "enabled", "Let it go on"),
		integrationVerb(a, "remove", "removed", "End it, and destroy its secrets"), testIntegrationCommand(a),
		deliveriesCommand(a), retryCommand(a), mapCommand(a), unmapCommand(a), mappingsCommand(a), applicationsCommand(a), suggestionsCommand(a))
	return c
}

func listIntegrationsCommand(a *cli) *cobra.Command {
	var limit int
	var kind string
	c := &cobra.Command{
		Use:   "list",
		Short: "List integrations",
		Args:  takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			q := url.Values{}
			if kind != "" {
				q.Set("kind", kind)
			}
			return listing(a, c, to, client.Path("integrations"), q, limit, "NAME KIND STATE WHERE NOTICES MAPPINGS", func(i api.Integration) []string {
				where := i.Address
				if where == "" {
					where = i.Cluster
				}
				return []string{i.Name, i.Kind, i.State, where, short(strings.Join(i.Notices, ", "), 60), fmt.Sprint(i.Mappings)}
			})
		}),
	}
	c.Flags().StringVar(&kind, "kind", "", "only these: webhook, slack, teams, argo-cd, flux or kubernetes")
	limitFlag(c, &limit)
	return c
}

func showIntegrationCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one integration",
		Long:  "Shows one integration: of its secrets only that there are, and since when.",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			i, err := client.Get[api.Integration](c.Context(), to, client.Path("integrations", args[0]), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), i, integrationText)
		}),
	}
}

func integrationText(i api.Integration) string {
	pairs := []string{"Integration", i.Name, "Kind", i.Kind, "State", i.State, "Reason", i.Reason, "Address", i.Address, "Cluster", i.Cluster, "Namespace", i.Namespace,
		"Notices", strings.Join(i.Notices, ", "), "Projects", strings.Join(i.Projects, ", "), "Description", i.Description}
	for _, s := range i.Secrets {
		text := fmt.Sprintf("version %d, set %s", s.Version, when(s.SetAt))
		if s.OverlapUntil != nil {
			text += "; the one before counts until " + when(*s.OverlapUntil)
		}
		pairs = append(pairs, s.Secret, text)
	}
	return fields(append(pairs, "Created", when(i.CreatedAt), "Changed", when(i.ChangedAt))...)
}

// settingsFlags are those of create and change.
func settingsFlags(c *cobra.Command, ask *api.ChangeIntegration, ca *string) {
	f := c.Flags()
	f.StringVar(&ask.Address, "address", "", "of argo-cd: https://HOST[:PORT][/PATH]")
	f.StringVar(ca, "ca-file", "", "of argo-cd: PEM file of the only authorities that count")
	f.StringVar(&ask.Cluster, "cluster", "", "of flux and kubernetes: whose agents look")
	f.StringVar(&ask.Namespace, "namespace", "", "of argo-cd: where its applications lie unless a mapping says so")
	f.StringSliceVar(&ask.Notices, "notice", nil, "of webhook, slack and teams: what it is told, such as failed; repeat it. None is all")
	f.StringSliceVar(&ask.Projects, "project", nil, "likewise: of which projects; repeat it. None is all")
	f.StringVar(&ask.Description, "description", "", "what it is, for those who ask")
}

func readAuthorities(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fail("fault", "read the authorities: %w", err)
	}
	return string(text), nil
}

// sealedFlags say where a secret comes from: never from an argument.
type sealedFlags struct{ file string }

func (s *sealedFlags) add(c *cobra.Command, what string) {
	c.Flags().StringVar(&s.file, what+"-file", "", "file with the "+what+", or - for standard input; one line end at its end is dropped")
}

func (s *sealedFlags) read(c *cobra.Command, what string) (secret.Value, error) {
	var from io.Reader = c.InOrStdin()
	switch {
	case s.file == "":
		return secret.Value{}, nil
	case s.file != "-":
		file, err := os.Open(s.file)
		if err != nil {
			return secret.Value{}, fail("fault", "read the %s: %w", what, err)
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, maxIntegrationSecret+3))
	if err != nil {
		return secret.Value{}, fail("fault", "read the %s: %w", what, err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 || len(text) > maxIntegrationSecret || bytes.ContainsAny(text, "\r\n") {
		clear(text)
		return secret.Value{}, usage("the %s is one line of 1 to %d bytes", what, maxIntegrationSecret)
	}
	return secret.New(text), nil
}

func createIntegrationCommand(a *cli) *cobra.Command {
	var ask api.CreateIntegration
	var settings api.ChangeIntegration
	var address, token sealedFlags
	var ca string
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Name who is told, or what is looked at",
		Long: "Names who is told (webhook, slack, teams), or what is looked at after a patch (argo-cd, flux, kubernetes).\n" +
			"A url, which is a secret as a whole, and a token come from files or standard input, never from an argument.\n" +
			"Of a webhook standard output is its signing key alone, which is shown once.",
		Example: "  sb integration create payments --kind slack --url-file - --notice failed --notice break_glass < url\n" +
			"  sb integration create argo --kind argo-cd --address https://argo.example.org --token-file token --ca-file ca.pem",
		Args: takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			if address.file == "-" && token.file == "-" {
				return usage("only one of them can come from standard input")
			}
			sealedURL, err := address.read(c, "url")
			if err != nil {
				return err
			}
			defer sealedURL.Zero()
			sealedToken, err := token.read(c, "token")
			if err != nil {
				return err
			}
			defer sealedToken.Zero()
			if ask.CA, err = readAuthorities(ca); err != nil {
				return err
			}
			ask.Name, ask.URL, ask.Token = args[0], string(sealedURL.Expose()), string(sealedToken.Expose())
			ask.Address, ask.Cluster, ask.Namespace, ask.Notices = settings.Address, settings.Cluster, settings.Namespace, settings.Notices
			ask.Projects, ask.Description = settings.Projects, settings.Description
			made, err := client.Post[api.CreatedIntegration](c.Context(), to, client.Path("integrations"), ask)
			if err != nil {
				return err
			}
			defer clear(made.Raw)
			err = show(a, c.OutOrStdout(), made, func(m api.CreatedIntegration) string { return keyLine(m.SigningKey) })
			if a.output == "text" {
				note(c, "created %s%s", made.Value.Name, shownOnce(made.Value.SigningKey))
			}
			return err
		}),
	}
	c.Flags().StringVar(&ask.Kind, "kind", "", "webhook, slack, teams, argo-cd, flux or kubernetes")
	address.add(c, "url")
	token.add(c, "token")
	settingsFlags(c, &settings, &ca)
	require(c, "kind")
	return c
}

func keyLine(key string) string {
	if key == "" {
		return ""
	}
	return clean(key) + "\n"
}

func shownOnce(key string) string {
	if key == "" {
		return ""
	}
	return "; the signing key is shown once"
}

func changeIntegrationCommand(a *cli) *cobra.Command {
	var ask api.ChangeIntegration
	var token sealedFlags
	var ca string
	c := &cobra.Command{
		Use:   "change NAME",
		Short: "Replace all settings of an integration",
		Long: "Replaces all settings of an integration by those of the flags; what no flag says is empty then.\n" +
			"Another address or other authorities of argo-cd need its token again. sb integration rotate says where else messages go.",
		Args: takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			sealed, err := token.read(c, "token")
			if err != nil {
				return err
			}
			defer sealed.Zero()
			if ask.CA, err = readAuthorities(ca); err != nil {
				return err
			}
			ask.Token = string(sealed.Expose())
			return give(a, c, to, client.Path("integrations", args[0], "change"), ask, "changed "+args[0])
		}),
	}
	token.add(c, "token")
	settingsFlags(c, &ask, &ca)
	return c
}

func rotateCommand(a *cli) *cobra.Command {
	var from sealedFlags
	var overlap string
	c := &cobra.Command{
		Use:   "rotate NAME url|token|signing_key",
		Short: "Put another secret in the place of one",
		Long: "Puts another secret in the place of one. A url and a token come from --secret-file. A signing key is made by the\n" +
			"server, and standard output is it alone; the one before signs beside it for a day, or as long as --overlap says.",
		Example: "  sb integration rotate payments-hook signing_key --overlap 1h > key\n" +
			"  sb integration rotate argo token --secret-file - < token",
		Args: takes("NAME", "url|token|signing_key"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask := api.RotateSecret{Secret: args[1]}
			if overlap != "" {
				d, err := longSpan(overlap)
				if overlap == "0" {
					d, err = 0, nil
				}
				if err != nil || d < 0 || d > 7*day || d%time.Second != 0 {
					return usage("--overlap is 0 to 7d in whole seconds, such as 1h")
				}
				seconds := int(d / time.Second)
				ask.OverlapSeconds = &seconds
			}
			value, err := from.read(c, "secret")
			if err != nil {
				return err
			}
			defer value.Zero()
			switch {
			case args[1] == "signing_key" && from.file != "":
				return usage("a signing key is made by the server, and none is taken")
			case args[1] == "url":
				ask.URL = string(value.Expose())
			case args[1] == "token":
				ask.Token = string(value.Expose())
			case args[1] != "signing_key":
				return usage("what is rotated is url, token or signing_key")
			}
			if args[1] != "signing_key" && from.file == "" {
				return usage("--secret-file must be given; - is standard input")
			}
			done, err := client.Post[api.RotatedSecret](c.Context(), to, client.Path("integrations", args[0], "rotate"), ask)
			if err != nil {
				return err
			}
			defer clear(done.Raw)
			err = show(a, c.OutOrStdout(), done, func(m api.RotatedSecret) string { return keyLine(m.SigningKey) })
			if a.output == "text" {
				note(c, "%s of %s is version %d%s", done.Value.Secret, args[0], done.Value.Version, shownOnce(done.Value.SigningKey))
			}
			return err
		}),
	}
	from.add(c, "secret")
	c.Flags().StringVar(&overlap, "overlap", "", "of a signing key: how long the one before signs, too, such as 1h or 7d; 0 is not at all")
	return c
}

func integrationVerb(a *cli, verb, past, sentence string) *cobra.Command {
	var why api.Reason
	c := &cobra.Command{
		Use:   verb + " NAME",
		Short: sentence,
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("integrations", args[0], verb), why, past+" "+args[0])
		}),
	}
	if verb != "enable" {
		c.Flags().StringVar(&why.Reason, "reason", "", "why, for the audit")
	}
	return c
}

func testIntegrationCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "test NAME",
		Short: "Send a test message, or ask Argo CD for its applications",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			got, err := client.Post[api.IntegrationTest](c.Context(), to, client.Path("integrations", args[0], "test"), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), got, func(m api.IntegrationTest) string {
				if m.Applications != nil {
					return fmt.Sprintf("it answers; the token may see %d applications\n", *m.Applications)
				}
				return clean(m.Delivery) + " is on its way; sb integration deliveries " + clean(args[0]) + " shows how it went\n"
			})
		}),
	}
}

func deliveriesCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "deliveries NAME",
		Short: "List what was sent to an integration, newest first",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return listing(a, c, to, client.Path("integrations", args[0], "deliveries"), nil, limit, "ID NOTICE STATE ATTEMPTS CODE REQUEST AT", func(d api.Delivery) []string {
				return []string{d.ID, d.Notice, d.State, fmt.Sprint(d.Attempts), d.Code, d.Request, ago(d.At)}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

func retryCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "retry NAME DELIVERY",
		Short: "Try a delivery again that was given up",
		Args:  takes("NAME", "DELIVERY"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("integrations", args[0], "deliveries", args[1], "retry"), nil, args[1]+" is tried again")
		}),
	}
}
