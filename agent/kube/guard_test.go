package kube

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// sent is what stands behind the door.
type sent struct{ count int }

func (s *sent) RoundTrip(*http.Request) (*http.Response, error) {
	s.count++
	return nil, errors.New("sent")
}

func TestTheDoorLetsNothingPassButReading(t *testing.T) {
	const base = "https://kube.example:6443/k8s/c-1"
	server, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		method, url, accept, body string
		passes                    bool
	}{
		"a list of pods":                    {"GET", base + "/api/v1/namespaces/shop/pods?limit=250", wholeObject, "", true},
		"a Kustomization":                   {"GET", base + "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/flux-system/kustomizations/apps", wholeObject, "", true},
		"pods of a namespace named secrets": {"GET", base + "/api/v1/namespaces/secrets/pods", wholeObject, "", true},
		"a table of a Secret":               {"GET", base + "/api/v1/namespaces/shop/secrets/db?includeObject=None", tableOnly, "", true},
		"a Secret":                          {"GET", base + "/api/v1/namespaces/shop/secrets/db?includeObject=None", wholeObject, "", false},
		"a Secret with no Accept":           {"GET", base + "/api/v1/namespaces/shop/secrets/db?includeObject=None", "", "", false},
		"the metadata of a Secret":          {"GET", base + "/api/v1/namespaces/shop/secrets/db", metadataOnly, "", false},
		"a table with its objects":          {"GET", base + "/api/v1/namespaces/shop/secrets/db?includeObject=Object", tableOnly, "", false},
		"a table with its metadata":         {"GET", base + "/api/v1/namespaces/shop/secrets/db", tableOnly, "", false},
		"a table with both":                 {"GET", base + "/api/v1/namespaces/shop/secrets/db?includeObject=None&includeObject=Object", tableOnly, "", false},
		"a list of Secrets":                 {"GET", base + "/api/v1/namespaces/shop/secrets?includeObject=None", tableOnly, "", false},
		"Secrets in capitals":               {"GET", base + "/api/v1/namespaces/shop/SECRETS/db", wholeObject, "", false},
		"Secrets of all namespaces":         {"GET", base + "/api/v1/secrets", wholeObject, "", false},
		"a path that is written otherwise":  {"GET", base + "/api/v1/namespaces/shop%2Fsecrets/pods", wholeObject, "", false},
		"a path that climbs":                {"GET", base + "/api/v1/namespaces/shop/pods/..", wholeObject, "", false},
		"a path with an empty part":         {"GET", base + "/api/v1/namespaces//pods", wholeObject, "", false},
		"what a pod writes":                 {"GET", base + "/api/v1/namespaces/shop/pods/a/log", wholeObject, "", false},
		"nodes":                             {"GET", base + "/api/v1/nodes", wholeObject, "", false},
		"a watch":                           {"GET", base + "/api/v1/namespaces/shop/pods?watch=true", wholeObject, "", false},
		"a watch that is named only":        {"GET", base + "/api/v1/namespaces/shop/pods?limit=1&watch", wholeObject, "", false},
		"a body":                            {"GET", base + "/api/v1/namespaces/shop/pods", wholeObject, "{}", false},
		"a change":                          {"PATCH", base + "/apis/apps/v1/namespaces/shop/deployments/api", wholeObject, "", false},
		"a removal":                         {"DELETE", base + "/api/v1/namespaces/shop/pods/a", wholeObject, "", false},
		"a new object":                      {"POST", base + "/api/v1/namespaces/shop/pods", wholeObject, "", false},
		"a look at headers":                 {"HEAD", base + "/api/v1/namespaces/shop/pods", wholeObject, "", false},
		"another host":                      {"GET", "https://evil.example/k8s/c-1/api/v1/namespaces/shop/pods", wholeObject, "", false},
		"another port":                      {"GET", "https://kube.example/k8s/c-1/api/v1/namespaces/shop/pods", wholeObject, "", false},
		"no TLS":                            {"GET", "http://kube.example:6443/k8s/c-1/api/v1/namespaces/shop/pods", wholeObject, "", false},
		"above the server's own path":       {"GET", "https://kube.example:6443/api/v1/namespaces/shop/pods", wholeObject, "", false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.body == "" {
			r.Body = nil
		}
		r.Header.Set("Accept", c.accept)
		behind := &sent{}
		_, err = guard{next: behind, server: server}.RoundTrip(r)
		if passed := behind.count == 1; passed != c.passes || !passed && !errors.Is(err, errRefused) {
			t.Errorf("%s: passed is %v, %v", name, passed, err)
		}
	}
}
