package argocd

import (
	"bytes"
	"encoding/json"
	"net/http"

	"secretsbridge/events"
)

// ReadTree reads a tree as a look does, walks to what made each node, and returns how many were kept.
func ReadTree(text []byte) (kept int, err error) {
	t := &tree{byUID: map[string]int{}}
	if err := readTree(json.NewDecoder(bytes.NewReader(text)), t); err != nil {
		return 0, err
	}
	for i := range t.nodes {
		t.maker(i)
		t.nodes[i].lives()
	}
	return len(t.nodes), nil
}

// ReadList reads a list of applications, and returns how many there are.
func ReadList(text []byte) (int, error) {
	var apps []application
	err := readList(json.NewDecoder(bytes.NewReader(text)), &apps)
	return len(apps), err
}

// SameProblem is what an error of reading is told as.
func SameProblem(err error) string { return string(problemOf(unread("argo.example", err))) }

// Transport is what calls to an Argo CD go by.
func (r *Reader) Transport(settings events.IntegrationSettings) (http.RoundTripper, error) {
	c, err := r.client(settings)
	if err != nil {
		return nil, err
	}
	return c.http.Transport, nil
}
