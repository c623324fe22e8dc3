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
	switch {
	case r.Method != http.MethodGet || r.Body != nil && r.Body != http.NoBody:
		return nil, errRefused
	case r.URL.Scheme != g.server.Scheme || r.URL.Host != g.server.Host:
		return nil, errRefused
	case aboutSecrets(r.URL) && (r.Header.Get("Accept") != tableOnly || r.URL.RawQuery != withoutObject || !oneSecret(r.URL)):
		return nil, errRefused
	case strings.Contains(r.URL.RawQuery, "watch="):
		return nil, errRefused
	}
	return g.next.RoundTrip(r)
}

// aboutSecrets reports whether a path goes to the core API's secrets, in any spelling.
func aboutSecrets(u *url.URL) bool {
	for _, segment := range strings.Split(u.Path, "/") {
		if strings.EqualFold(segment, "secrets") {
			return true
		}
	}
	return false
}

// oneSecret reports whether the path ends in /namespaces/NAMESPACE/secrets/NAME.
func oneSecret(u *url.URL) bool {
	segment := strings.Split(u.Path, "/")
	n := len(segment)
	return n > 4 && segment[n-4] == "namespaces" && segment[n-3] != "" && segment[n-2] == "secrets" && segment[n-1] != ""
}
