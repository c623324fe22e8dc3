package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func mapCommand(a *cli) *cobra.Command {
	var ask api.AddMapping
	var labels []string
	c := &cobra.Command{
		Use:   "map NAME CONNECTION[/REF]",
		Short: "Say that an application uses a secret, or all with some labels",
		Long: "Says that an application uses one secret, CONNECTION/REF, or all secrets of CONNECTION that have all labels of\n" +
			"--label. After a patch of one of them the application is looked at until the change is live there.",
		Example: "  sb integration map argo vault/prod/db --target Application --target-name shop\n" +
			"  sb integration map plain vault --label team=payments --target Namespace --target-name shop --selector app=web",
		Args: takes("NAME", "CONNECTION[/REF]"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			ask.Connection, ask.Ref, _ = strings.Cut(args[1], "/")
			for _, label := range labels {
				name, value, found := strings.Cut(label, "=")
				if _, twice := ask.Labels[name]; !found || name == "" || twice {
					return usage("--label is NAME=VALUE, each name once")
				}
				if ask.Labels == nil {
					ask.Labels = map[string]string{}
				}
				ask.Labels[name] = value
			}
			if (ask.Ref == "") == (len(labels) == 0) {
				return usage("say either CONNECTION/REF, or CONNECTION with --label")
			}
			made, err := client.Post[api.Made](c.Context(), to, client.Path("integrations", args[0], "mappings"), ask)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), made, func(m api.Made) string { return clean(m.ID) + "\n" })
		}),
	}
	f := c.Flags()
	f.StringArrayVar(&labels, "label", nil, "NAME=VALUE of the secrets at their provider; repeat it: all must hold")
	f.StringVar(&ask.Target.Kind, "target", "", "Application, Kustomization, HelmRelease or Namespace")
	f.StringVar(&ask.Target.Name, "target-name", "", "its name; of a Namespace that of the namespace")
	f.StringVar(&ask.Target.Namespace, "target-namespace", "", "where it lies")
	f.StringVar(&ask.Target.Selector, "selector", "", "of a Namespace: LABEL=VALUE,… of its workloads")
	f.StringVar(&ask.Target.Secret, "secret", "", "the Kubernetes Secret that holds it, NAME or NAMESPACE/NAME; without it, it is found by its ExternalSecrets")
	f.BoolVar(&ask.Discovered, "discovered", false, "it was suggested (sb integration suggestions)")
	require(c, "target", "target-name")
	return c
}

func unmapCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "unmap NAME MAPPING",
		Short: "End a mapping",
		Long:  "Ends a mapping, named by its id. Watches that have begun go on.",
		Args:  takes("NAME", "MAPPING"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return give(a, c, to, client.Path("integrations", args[0], "mappings", args[1], "remove"), nil, "removed "+args[1])
		}),
	}
}

func mappingsCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "mappings NAME",
		Short: "List which applications use which secrets",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			return listing(a, c, to, client.Path("integrations", args[0], "mappings"), nil, limit, "ID SECRETS TARGET SECRET ORIGIN", func(m api.Mapping) []string {
				return []string{m.ID, mappedText(m), targetText(m.Target), m.Target.Secret, m.Origin}
			})
		}),
	}
	limitFlag(c, &limit)
	return c
}

func mappedText(m api.Mapping) string {
	if m.Ref != "" {
		return m.Connection + "/" + m.Ref
	}
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(m.Labels)) {
		labels = append(labels, name+"="+m.Labels[name])
	}
	return m.Connection + " with " + strings.Join(labels, ", ")
}

func targetText(t api.Target) string {
	name := t.Name
	if t.Namespace != "" {
		name = t.Namespace + "/" + t.Name
	}
	if t.Selector != "" {
		name += " (" + t.Selector + ")"
	}
	return t.Kind + " " + name
}

func applicationsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "applications NAME",
		Short: "List the applications that Argo CD has now",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			got, err := client.Get[api.Applications](c.Context(), to, client.Path("integrations", args[0], "applications"), nil)
			if err != nil {
				return err
			}
			noteMore(a, c, got.Value.More)
			return show(a, c.OutOrStdout(), got, func(m api.Applications) string {
				var b strings.Builder
				for _, app := range m.Items {
					b.WriteString(strings.Join(cleaned([]string{targetText(app.Target), app.Sync, app.Health, mappedWord(app.Mapped)}), "  ") + "\n")
				}
				return b.String()
			})
		}),
	}
}

func suggestionsCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "suggestions NAME",
		Short: "List mappings that could be taken, found by reading ExternalSecrets",
		Args:  takes("NAME"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			got, err := client.Get[api.Suggestions](c.Context(), to, client.Path("integrations", args[0], "suggestions"), nil)
			if err != nil {
				return err
			}
			noteMore(a, c, got.Value.More)
			return show(a, c.OutOrStdout(), got, func(m api.Suggestions) string {
				var b strings.Builder
				for _, s := range m.Items {
					b.WriteString(strings.Join(cleaned([]string{s.Connection + "/" + s.Ref, targetText(s.Target), s.Target.Secret, mappedWord(s.Mapped)}), "  ") + "\n")
				}
				return b.String()
			})
		}),
	}
}

func noteMore(a *cli, c *cobra.Command, more bool) {
	if more && a.output == "text" {
		note(c, "there are more than these")
	}
}

func mappedWord(mapped bool) string {
	if mapped {
		return "mapped"
	}
	return ""
}
