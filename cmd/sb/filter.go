package main

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"secretsbridge/events"
)

const day = 24 * time.Hour

// secretFilter is what narrows lists of secrets and reports, as it was typed.
type secretFilter struct {
	labels                                []string
	prefix, provider, cluster, connection string
	owner, environment, olderThan, text   string
}

// flags are those of all lists of secrets. The one of nobody's has no owner to ask for.
func (f *secretFilter) flags(c *cobra.Command, owned bool) {
	c.Flags().StringArrayVar(&f.labels, "label", nil, "NAME:VALUE: only with this label; a colon in NAME is written \\:; repeat it for several")
	c.Flags().StringVar(&f.prefix, "prefix", "", "only refs that begin so")
	c.Flags().StringVar(&f.provider, "provider", "", "only this provider, such as vault or aws-secrets-manager")
	c.Flags().StringVar(&f.cluster, "cluster", "", "only this cluster")
	c.Flags().StringVar(&f.connection, "connection", "", "only this connection")
	if owned {
		c.Flags().StringVar(&f.owner, "owner", "", "only this owner's; \"\" for those that are nobody's")
	}
	c.Flags().StringVar(&f.environment, "environment", "", "only this environment; \"\" for those without one")
	c.Flags().StringVar(&f.olderThan, "older-than", "", "only those that were not rotated for so long, in whole days from 1d on, such as 90d")
	c.Flags().StringVar(&f.text, "text", "", "only with this text in the ref or in the value of a label")
}

// query checks what was typed and puts it into a call.
func (f *secretFilter) query(c *cobra.Command) (url.Values, error) {
	q := url.Values{}
	for _, label := range f.labels {
		if !isLabel(label) {
			return nil, usage("--label takes NAME:VALUE, such as Environment:prod")
		}
		q.Add("label", label)
	}
	for name, value := range map[string]string{"cluster": f.cluster, "connection": f.connection} {
		if value == "" {
			continue
		}
		if !events.ValidName(value) {
			return nil, usage("--%s is %s", name, nameRule)
		}
		q.Set(name, value)
	}
	for name, value := range map[string]string{"prefix": f.prefix, "provider": f.provider, "text": f.text} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for name, value := range map[string]string{"owner": f.owner, "environment": f.environment} {
		if c.Flags().Changed(name) { // an empty one asks for those without
			q.Set(name, value)
		}
	}
	if f.olderThan != "" {
		d, err := longSpan(f.olderThan)
		if err != nil || d < day || d%day != 0 {
			return nil, usage("--older-than is in whole days, 1d at least, such as 90d")
		}
		q.Set("older_than_days", strconv.Itoa(int(d/day)))
	}
	return q, nil
}

// isLabel reports whether there is a name before a colon that stands for itself.
func isLabel(text string) bool {
	for i := 0; i < len(text); i++ {
		switch {
		case strings.HasPrefix(text[i:], `\:`), strings.HasPrefix(text[i:], `\\`):
			i++
		case text[i] == ':':
			return i > 0
		}
	}
	return false
}

// longSpan reads a span as Go writes it, or in days, such as 90d.
func longSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16) // up to 179 years
		return time.Duration(n) * day, err
	}
	return time.ParseDuration(text)
}
