package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/web/api"
	"secretsbridge/web/api/client"
)

func TestAFilterThatNothingCanMeetIsNamed(t *testing.T) {
	connections := []client.Item[api.Connection]{{Value: api.Connection{Name: "file", Cluster: "demo", Provider: "file"}}}
	for name, c := range map[string]struct {
		filter secretFilter
		want   []string
	}{
		"what may be there":     {secretFilter{connection: "file", cluster: "demo", provider: "file", prefix: "prod/", owner: "x"}, nil},
		"a ref like a name":     {secretFilter{prefix: "file"}, nil},
		"a connection":          {secretFilter{connection: "foo"}, []string{"there is no connection foo; sb connection list shows those there are"}},
		"a cluster":             {secretFilter{cluster: "foo"}, []string{"no connection is in cluster foo; sb connection list shows those there are"}},
		"a provider":            {secretFilter{provider: "vault"}, []string{"no connection is to a vault; sb connection list shows those there are"}},
		"a place as a prefix":   {secretFilter{prefix: "file/prod/d"}, []string{"--prefix is of the ref, and file is a connection: use --connection file --prefix prod/d"}},
		"a name alone as one":   {secretFilter{prefix: "file/"}, []string{"--prefix is of the ref, and file is a connection: use --connection file"}},
		"a label may be a typo": {secretFilter{labels: []string{"a:b"}}, []string{"sb secret facets lists the labels there are, and sb secret facets LABEL the values of one"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.filter.mistakes(connections)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
