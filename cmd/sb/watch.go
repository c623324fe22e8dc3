package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// watch shows a request as it stands and after each change, until it has ended. An
// end other than that it was executed is an error.
func watch(a *cli, c *cobra.Command, to *client.Client, id string) error {
	var seen uint64
	return client.Follow(c.Context(), to, id, client.Follower[api.Request]{
		Changed: func(r client.Item[api.Request]) error {
			if seen > 0 && r.Value.Seq <= seen {
				return nil // told twice
			}
			err := show(a, c.OutOrStdout(), r, func(r api.Request) string {
				if seen == 0 {
					return requestText(r)
				}
				return changeText(r)
			})
			saw(r.Value)
			seen = r.Value.Seq
			switch {
			case err != nil:
				return err
			case r.Value.State == "executed":
				return client.ErrStop
			case final(r.Value.State):
				return fail("request_ended", "the request was not executed: it is %s", r.Value.State)
			}
			return nil
		},
		Lost: func(err error) { note(c, "reconnecting: %v", err) },
	})
}

// final reports whether nothing more happens to a request by itself. A state that this
// program does not know is not final.
func final(state string) bool {
	switch state {
	case "executed", "failed", "rejected", "cancelled", "expired":
		return true
	}
	return false
}

// changeText is what a request has become, on one line.
func changeText(r api.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s", time.Now().Format(time.TimeOnly), clean(r.State))
	say := func(text string) { _, _ = io.WriteString(&b, ": "+clean(text)) }
	switch {
	case r.Failure != nil:
		say(r.Failure.Detail + " (" + r.Failure.Code + ")")
	case r.State == "executed" && r.Patch != nil:
		say(outcomeText(r))
	case r.State == "executed":
		say("open it with sb reveal " + r.ID)
	case r.State == "pending" && r.Patch != nil && r.Patch.Comparison != nil:
		say(r.Waiting + "; " + effectsText(*r.Patch))
	case r.Waiting != "":
		say(r.Waiting)
	case r.State == "running":
		say(fmt.Sprintf("attempt %d by agent %s", r.Attempt, r.Agent))
	}
	b.WriteByte('\n')
	return b.String()
}
