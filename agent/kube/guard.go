package kube

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

// What is asked for. Of a Secret a table of one row is: who it is, its type, how many keys it has
// and its age, and over the row the resourceVersion. The API server makes the table, so neither
// data nor annotations, in which kubectl apply keeps a copy of the data, leave it.
const (
	wholeObject  = "application/json"
	metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	tableOnly    = "application/json;as=Table;g=meta.k8s.io;v=v1"

	withoutObject = "includeObject=None" // of a table: no metadata of the rows' objects
)

// errRefused says that a request was not sent. It is a defect of this package if one meets it.
var errRefused = errors.New("the request is not one that an agent sends")

// guard lets nothing pass but reading, from one server, and nothing of a Secret but a table of
// one. It looks at what is sent, whoever made it.
type guard struct {
	next   http.RoundTripper
	server *url.URL
}

// RoundTrip implements [http.RoundTripper].
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	kind, one, ok := g.target(r.URL)
	switch {
	case !ok || r.Method != http.MethodGet || r.Body != nil && r.Body != http.NoBody:
		return nil, errRefused
	case strings.EqualFold(kind, "secrets") && !(one && r.Header.Get("Accept") == tableOnly && r.URL.RawQuery == withoutObject):
		return nil, errRefused
	case r.URL.Query().Has("watch") || r.URL.Query().Has("follow"):
		return nil, errRefused
	}
	return g.next.RoundTrip(r)
}

// target is which kind of object a URL is about, and whether about one. It knows two shapes, below
// the server's own path, and takes no other:
//
//	/api/v1/namespaces/NAMESPACE/KIND[/NAME]
//	/apis/GROUP/VERSION/namespaces/NAMESPACE/KIND[/NAME]
func (g guard) target(u *url.URL) (kind string, one, ok bool) {
	path, below := strings.CutPrefix(u.Path, strings.TrimSuffix(g.server.Path, "/"))
	if !below || u.Scheme != g.server.Scheme || u.Host != g.server.Host || u.RawPath != "" {
		return "", false, false
	}
	part := strings.Split(strings.TrimPrefix(path, "/"), "/")
	switch {
	case len(part) > 2 && part[0] == "api" && part[1] == "v1":
		part = part[2:]
	case len(part) > 3 && part[0] == "apis":
		part = part[3:]
	default:
		return "", false, false
	}
	if len(part) < 3 || len(part) > 4 || part[0] != "namespaces" {
		return "", false, false
	}
	for _, p := range part {
		if p == "" || p == "." || p == ".." {
			return "", false, false
		}
	}
	return part[2], len(part) == 4, true
}
