package main

import (
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

// maxHinted is how many connections are looked at for a hint: more than anybody has.
const maxHinted = 1000

// hint says why a list of secrets may be empty that was narrowed by a query. It is a courtesy,
// so that it cannot be told is no error.
func (f *secretFilter) hint(a *cli, c *cobra.Command, to *client.Client, q url.Values) {
	if a.output != "text" || nothingScanned(c, to) || len(q) == 0 {
		return
	}
	connections, _, err := client.List[api.Connection](c.Context(), to, client.Path("connections"), nil, maxHinted)
	if err != nil {
		return
	}
	for _, line := range f.mistakes(connections) {
		note(c, "%s", line)
	}
}

// mistakes are what no secret can have where these connections are all there are, and names
// that are easily mistyped, with what lists them.
func (f *secretFilter) mistakes(connections []client.Item[api.Connection]) (said []string) {
	none := func(is func(api.Connection) bool) bool {
		return !slices.ContainsFunc(connections, func(n client.Item[api.Connection]) bool { return is(n.Value) })
	}
	const listed = "; sb connection list shows those there are"
	if f.connection != "" && none(func(n api.Connection) bool { return n.Name == f.connection }) {
		said = append(said, "there is no connection "+f.connection+listed)
	}
	if f.cluster != "" && none(func(n api.Connection) bool { return n.Cluster == f.cluster }) {
		said = append(said, "no connection is in cluster "+f.cluster+listed)
	}
	if f.provider != "" && none(func(n api.Connection) bool { return n.Provider == f.provider }) {
		said = append(said, "no connection is to a "+f.provider+listed)
	}
	name, rest, found := strings.Cut(f.prefix, "/")
	if found && !none(func(n api.Connection) bool { return n.Name == name }) {
		hint := "--prefix is of the ref, and " + name + " is a connection: use --connection " + name
		if rest != "" {
			hint += " --prefix " + rest
		}
		said = append(said, hint)
	}
	if len(f.labels) > 0 {
		said = append(said, "sb secret facets lists the labels there are, and sb secret facets LABEL the values of one")
	}
	return said
}

// nothingScanned says what to do if the inventory is empty, and reports whether it is.
func nothingScanned(c *cobra.Command, to *client.Client) bool {
	all, err := client.Get[api.Count](c.Context(), to, client.Path("secrets", "count"), nil)
	empty := err == nil && all.Value.Exact && all.Value.Count == 0
	if empty {
		note(c, "the inventory has no secret that is there now: sb discover CONNECTION scans a connection into it")
	}
	return empty
}
