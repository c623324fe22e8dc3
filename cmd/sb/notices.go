package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxHook is how long the address of an incoming webhook may be.
const maxHook = 2048

func noticesCommand(a *cli) *cobra.Command {
	c := &cobra.Command{Use: "notices", Short: "See and choose how you are told what happens"}
	c.AddCommand(showNoticesCommand(a), setNoticesCommand(a),
		&cobra.Command{
			Use: "test", Short: "Have a message sent to you that says nothing but that it arrived", Args: takes(),
			RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
				queued, err := client.Post[api.Queued](c.Context(), to, client.Path("me", "notices", "test"), struct{}{})
				if err != nil {
					return err
				}
				return show(a, c.OutOrStdout(), queued, func(q api.Queued) string {
					return "it will be sent as " + clean(q.ID) + "; `sb notices log` says what became of it\n"
				})
			}),
		}, noticesLogCommand(a))
	return c
}

func showNoticesCommand(a *cli) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show how you are told", Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			chosen, err := client.Get[api.Notices](c.Context(), to, client.Path("me", "notices"), nil)
			if err != nil {
				return err
			}
			return show(a, c.OutOrStdout(), chosen, noticesText)
		}),
	}
}

func noticesText(n api.Notices) string {
	var b strings.Builder
	fmt.Fprintf(&b, "channel: %s", clean(n.Channel))
	if n.Host != "" {
		fmt.Fprintf(&b, ", at %s", clean(n.Host))
	}
	if !n.Usable && n.Channel != string(events.ChannelNone) {
		b.WriteString(" (nothing can be sent there)")
	}
	fmt.Fprintf(&b, "\nmuted: %s\n", clean(strings.Join(n.Muted, ", ")))
	if n.Quiet != nil {
		fmt.Fprintf(&b, "quiet: %s to %s, %s\n", clean(n.Quiet.From), clean(n.Quiet.To), clean(n.Quiet.Zone))
	}
	if n.DigestSeconds > 0 {
		fmt.Fprintf(&b, "collected for: %d seconds\n", n.DigestSeconds)
	}
	return b.String()
}

func setNoticesCommand(a *cli) *cobra.Command {
	var wish api.ChooseNotices
	var quiet, zone string
	var fromStdin bool
	kinds := make([]string, 0, len(events.NoticeKinds()))
	for _, kind := range events.NoticeKinds() {
		kinds = append(kinds, string(kind))
	}
	c := &cobra.Command{
		Use:   "set",
		Short: "Choose how you are told",
		Long: "Replaces how you are told; what no flag says is as for somebody who never chose. The address of an incoming webhook of\n" +
			"Slack or Teams is asked for on standard input and never shown again; without --url-stdin the one from before stays.\n" +
			"In quiet hours only break_glass and review_due come at once.\n\nWhat can be muted: " + strings.Join(kinds, ", "),
		Example: "  sb notices set --channel email --mute voted --quiet 22:00-07:00 --zone Europe/Berlin",
		Args:    takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			if (quiet == "") != (zone == "") {
				return usage("--quiet and --zone go together")
			}
			if quiet != "" {
				from, end, ok := strings.Cut(quiet, "-")
				if !ok {
					return usage("--quiet is two times of the day, such as 22:00-07:00")
				}
				wish.Quiet = &api.QuietHours{From: from, To: end, Zone: zone}
			}
			if fromStdin {
				text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), maxHook+2))
				if err != nil {
					return fail("fault", "read the address: %w", err)
				}
				if wish.URL = strings.TrimSpace(string(text)); wish.URL == "" || len(wish.URL) > maxHook {
					return usage("standard input holds no address of a webhook")
				}
			}
			return give(a, c, to, client.Path("me", "notices"), wish, "it counts from now on")
		}),
	}
	c.Flags().StringVar(&wish.Channel, "channel", "", "email, slack, teams or none")
	c.Flags().StringSliceVar(&wish.Muted, "mute", nil, "what you are not told; may be given several times")
	c.Flags().StringVar(&quiet, "quiet", "", "when nothing is sent, each day, such as 22:00-07:00")
	c.Flags().StringVar(&zone, "zone", "", "of --quiet, such as Europe/Berlin")
	c.Flags().IntVar(&wish.DigestSeconds, "digest", 0, "for how many seconds to collect what comes up into one message; 0: it comes at once")
	c.Flags().BoolVar(&fromStdin, "url-stdin", false, "read the address of your incoming webhook from standard input")
	require(c, "channel")
	return c
}

func noticesLogCommand(a *cli) *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "log", Short: "List what you were told in the last 30 days, newest first", Args: takes(),
		RunE: a.signedIn(func(c *cobra.Command, _ []string, to *client.Client) error {
			return listing(a, c, to, client.Path("me", "notices", "deliveries"), nil, limit, "ID NOTICE CAME-UP STATE ATTEMPTS CODE REQUEST", func(d api.Delivery) []string {
				return []string{d.ID, d.Notice, ago(d.At), d.State, fmt.Sprint(d.Attempts), d.Code, d.Request}
			})
		}),
	}
	c.Flags().IntVar(&limit, "limit", 50, "how many to show at most")
	return c
}
