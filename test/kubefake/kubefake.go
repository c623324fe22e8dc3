// Package kubefake is the API server of a small cluster, for tests: it answers GET as the API
// conventions of Kubernetes say, in pages and as tables, and fails the test of whoever asks as no
// agent may.
package kubefake

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Canary is in all data of Secrets and in every environment, annotation and argument: none of it
// may be seen outside.
const Canary = "canary-4e7d-kube"

// Cluster is safe for concurrent use.
type Cluster struct {
	URL   string
	CA    []byte // PEM
	Token string // the only one that counts

	t      testing.TB
	server *httptest.Server

	mu       sync.Mutex
	objects  map[string][]object // by the path of their list
	absent   map[string]bool     // groups that are not installed
	denied   map[string]bool     // paths of lists that the token may not see
	version  int
	now      func() time.Time
	fault    func(http.ResponseWriter, *http.Request) bool
	requests []Request
}

type object = map[string]any

// Request is one that was made.
type Request struct{ Method, Path, Query, Accept, Authorization string }

// New starts one that stops with the test.
func New(t testing.TB) *Cluster {
	c := &Cluster{t: t, Token: "token-of-the-agent", objects: map[string][]object{}, absent: map[string]bool{}, denied: map[string]bool{}, now: time.Now, version: 1000}
	c.server = httptest.NewTLSServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.server.Close)
	c.URL = c.server.URL
	c.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw})
	return c
}

// SetClock makes the Date of all answers.
func (c *Cluster) SetClock(now func() time.Time) { c.set(func() { c.now = now }) }

// Uninstall makes the API of a group unknown, such as "argoproj.io/v1alpha1".
func (c *Cluster) Uninstall(group string) { c.set(func() { c.absent[group] = true }) }

// Deny makes a list forbidden, by its path, and each object in it.
func (c *Cluster) Deny(path string) { c.set(func() { c.denied[path] = true }) }

// Fault is asked before each answer. Where it returns true it has answered.
func (c *Cluster) Fault(f func(http.ResponseWriter, *http.Request) bool) {
	c.set(func() { c.fault = f })
}

func (c *Cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Requests are those that were made until now.
func (c *Cluster) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// Put makes or replaces an object, given as JSON with apiVersion, kind and metadata. Each time it
// has another resourceVersion.
func (c *Cluster) Put(text string) {
	c.t.Helper()
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		c.t.Fatalf("%v in %s", err, text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	meta := o["metadata"].(object)
	meta["resourceVersion"] = strconv.Itoa(c.version)
	if meta["uid"] == nil {
		meta["uid"] = fmt.Sprintf("uid-%v-%v-%v", o["kind"], meta["namespace"], meta["name"])
	}
	meta["annotations"] = object{"kubectl.kubernetes.io/last-applied-configuration": Canary}
	at := listPath(o)
	for i, old := range c.objects[at] {
		if old["metadata"].(object)["name"] == meta["name"] {
			c.objects[at][i] = o
			return
		}
	}
	c.objects[at] = append(c.objects[at], o)
}

// Remove takes an object away, by the path of its list and its name.
func (c *Cluster) Remove(path, name string) {
	c.set(func() {
		c.objects[path] = slices.DeleteFunc(c.objects[path], func(o object) bool { return o["metadata"].(object)["name"] == name })
	})
}

// listPath is where an object is listed.
func listPath(o object) string {
	api, kind, namespace := o["apiVersion"].(string), strings.ToLower(o["kind"].(string)), o["metadata"].(object)["namespace"].(string)
	root := "/apis/" + api
	if api == "v1" {
		root = "/api/v1"
	}
	return root + "/namespaces/" + namespace + "/" + kind + "s"
}

func (c *Cluster) serve(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	request := Request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Accept"), r.Header.Get("Authorization")}
	c.requests = append(c.requests, request)
	if r.Method != http.MethodGet || r.URL.Query().Has("watch") {
		c.t.Errorf("an agent asked with %s %s", r.Method, r.URL)
	}
	w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
	if c.fault != nil && c.fault(w, r) {
		return
	}
	list, name := split(r.URL.Path)
	switch {
	case request.Authorization != "Bearer "+c.Token:
		status(w, http.StatusUnauthorized, "Unauthorized")
	case c.denied[list]:
		status(w, http.StatusForbidden, "Forbidden")
	case list == "" || c.unknown(list):
		http.Error(w, "404 page not found", http.StatusNotFound) // as the API server does for a group that it does not know
	case name != "":
		c.one(w, r, list, name)
	default:
		c.many(w, r, list)
	}
}

// split parts a path into that of a list and the name of an object in it, if there is one.
func split(path string) (list, name string) {
	segment := strings.Split(strings.TrimPrefix(path, "/"), "/")
	at := slices.Index(segment, "namespaces")
	switch len(segment) - at {
	case 3:
		return path, ""
	case 4:
		return path[:strings.LastIndexByte(path, '/')], segment[len(segment)-1]
	}
	return "", ""
}

func (c *Cluster) unknown(list string) bool {
	for group := range c.absent {
		if strings.HasPrefix(list, "/apis/"+group+"/") {
			return true
		}
	}
	return false
}

func (c *Cluster) one(w http.ResponseWriter, r *http.Request, list, name string) {
	for _, o := range c.objects[list] {
		if o["metadata"].(object)["name"] == name {
			if strings.HasSuffix(list, "/secrets") {
				c.secret(w, r, o)
				return
			}
			answer(w, o)
			return
		}
	}
	status(w, http.StatusNotFound, "NotFound")
}

// secret answers with a table, as the API server makes one (printSecret), and fails the test of
// whoever asks for more.
func (c *Cluster) secret(w http.ResponseWriter, r *http.Request, o object) {
	if r.Header.Get("Accept") != "application/json;as=Table;g=meta.k8s.io;v=v1" || r.URL.Query().Get("includeObject") != "None" {
		c.t.Errorf("a Secret is asked for as %q, %q", r.Header.Get("Accept"), r.URL.RawQuery)
		answer(w, o)
		return
	}
	meta := o["metadata"].(object)
	answer(w, object{
		"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": object{"resourceVersion": meta["resourceVersion"]},
		"columnDefinitions": []object{{"name": "Name", "type": "string"}, {"name": "Type", "type": "string"}, {"name": "Data", "type": "string"}, {"name": "Age", "type": "string"}},
		"rows":              []object{{"cells": []any{meta["name"], "Opaque", 1, "3d"}, "object": nil}},
	})
}

func (c *Cluster) many(w http.ResponseWriter, r *http.Request, list string) {
	if strings.HasSuffix(list, "/secrets") {
		c.t.Error("Secrets are listed")
	}
	var chosen []object
	for _, o := range c.objects[list] {
		if matches(o, r.URL.Query().Get("labelSelector")) {
			chosen = append(chosen, o)
		}
	}
	from, limit := 0, len(chosen)
	if asked, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil {
		limit = asked
	} else {
		c.t.Errorf("%s is listed without a limit", list)
	}
	if token := r.URL.Query().Get("continue"); token != "" {
		raw, _ := base64.RawURLEncoding.DecodeString(token)
		from, _ = strconv.Atoi(string(raw))
	}
	to := min(len(chosen), from+limit)
	meta := object{"resourceVersion": strconv.Itoa(c.version)}
	if to < len(chosen) {
		meta["continue"] = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(to)))
		meta["remainingItemCount"] = len(chosen) - to
	}
	items := []any{}
	for _, o := range chosen[from:to] {
		item := object{}
		for field, value := range o {
			if field == "metadata" || field != "kind" && field != "apiVersion" && !strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
				item[field] = value // items of a list have no kind
			}
		}
		items = append(items, item)
	}
	answer(w, object{"kind": "List", "apiVersion": "v1", "metadata": meta, "items": items})
}

func matches(o object, selector string) bool {
	if selector == "" {
		return true
	}
	labels, _ := o["metadata"].(object)["labels"].(object)
	for part := range strings.SplitSeq(selector, ",") {
		name, value, _ := strings.Cut(part, "=")
		if labels[name] != value {
			return false
		}
	}
	return true
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// status answers with an error as the API server words it.
func status(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": Canary, "code": code})
}
