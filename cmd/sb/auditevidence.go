package main

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
	"secretsbridge/transparency/evidence"
	"secretsbridge/web/api/client"
)

func evidenceCommand(a *cli) *cobra.Command {
	var witnesses int
	c := &cobra.Command{
		Use:   "evidence REQUEST",
		Short: "Write one file that proves what became of a request",
		Long: "Writes one file with what the log says of a request: the facts, the policy that counted, votes, who the\n" +
			"agent was and what it signed, versions at the provider, the rollout, and a proof that each is in the log.\n" +
			"Whoever has the policy of keys verifies it without access to the server: sb audit verify --evidence.\n" +
			"It waits for up to 30 seconds until witnesses have seen the request. That you took it is in the audit.",
		Example: "  sb audit evidence r_01jc… > evidence.json\n" +
			"  sb audit verify --evidence evidence.json --policy log.policy",
		Args: takes("REQUEST"),
		RunE: a.signedIn(func(c *cobra.Command, args []string, to *client.Client) error {
			text, err := takeEvidence(c, to, args[0], witnesses)
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(text)
			return err
		}),
	}
	c.Flags().IntVar(&witnesses, "witnesses", 1, "prove it by a checkpoint that at least so many witnesses cosigned, agents among them; 0: by the newest")
	return c
}

// Agents look at the log every ten seconds, and witnesses outside as often.
const (
	witnessPatience = 30 * time.Second
	witnessPause    = time.Second
)

// takeEvidence waits until as many witnesses as are wanted have seen the request.
func takeEvidence(c *cobra.Command, to *client.Client, id string, witnesses int) ([]byte, error) {
	q := url.Values{}
	if witnesses > 0 {
		q.Set("witnesses", strconv.Itoa(witnesses))
	}
	for until := time.Now().Add(witnessPatience); ; {
		text, err := client.File(c.Context(), to, client.Path("audit", "evidence", id), q)
		var refused *client.Refused
		if err == nil || !errors.As(err, &refused) || refused.Problem.Code != "checkpoint_unknown" || time.Now().After(until) {
			return text, err
		}
		select {
		case <-time.After(witnessPause):
		case <-c.Context().Done():
			return nil, c.Context().Err()
		}
	}
}

// ofRequest verifies a file of evidence and says what it proves.
func (v verifying) ofRequest(a *cli, c *cobra.Command) error {
	policy, err := v.given(a)
	if err != nil {
		return err
	}
	text, err := readSome(v.evidence, evidence.MaxBytes)
	if err != nil {
		return err
	}
	report, err := evidence.Verify(text, policy)
	if err != nil {
		return unverified(err)
	}
	if a.output == "json" {
		return encode(c.OutOrStdout(), report)
	}
	return tellEvidence(c.OutOrStdout(), report)
}

// tellEvidence is the report for people. What others typed is escaped.
func tellEvidence(to io.Writer, r evidence.Report) error {
	fmt.Fprintf(to, "The evidence holds. Request %s is in the log %s as of %d commits, signed by %s.\n\n",
		r.Request, clean(r.Origin), r.Size, clean(strings.Join(r.Signers, ", ")))
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(seq events.Seq, at time.Time, what, format string, args ...any) {
		when := ""
		if !at.IsZero() {
			when = at.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", seq, when, what, clean(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintln(w, "COMMIT\tTIME\tWHAT\tDETAIL")
	asked := r.Asked
	if r.Policy.Version > 0 {
		line(r.Policy.Seq, time.Time{}, "policy", "version %d, %d objects; rule %s led to workflow %s", r.Policy.Version, len(r.Policy.Objects), asked.Workflow.Rule, asked.Workflow.Name)
	}
	line(asked.Seq, asked.At, "asked", "%s asks to %s %s/%s: %s", asked.By, asked.Operation, asked.Connection, asked.Ref, asked.Reason)
	for _, v := range r.Votes {
		said := "disagreed to"
		if v.Agreed {
			said = "agreed to"
		}
		line(v.Seq, v.At, "vote", "%s %s step %s%s", v.By, said, v.Step, colon(v.Comment))
	}
	for _, x := range r.Work {
		line(x.Seq, time.Time{}, "work", "agent %s (%s) of cluster %s, attempt %d", x.Name, x.Agent, x.Cluster, x.Attempt)
	}
	if o := r.Outcome; o != nil {
		detail := o.State + colon(o.Code)
		if o.ProviderVersion != "" {
			detail += ", version " + o.ProviderVersion + " at the provider"
		}
		if o.PreviousVersion != "" {
			detail += ", " + o.PreviousVersion + " before"
		}
		if o.Signed != "" {
			detail += "; signed by agent " + string(o.Signed)
		}
		line(o.Seq, o.At, "outcome", "%s", detail)
	}
	for _, v := range r.Reveals {
		line(v.Seq, v.At, "opened", "envelope %s", v.Envelope)
	}
	for _, o := range r.Rollout {
		line(o.Seq, o.At, "rollout", "%s", o.Type)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, gap := range r.Gaps {
		fmt.Fprintf(to, "\nNot proven: %s.", clean(gap))
	}
	if len(r.Gaps) > 0 {
		fmt.Fprintln(to)
	}
	return nil
}

func colon(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}
