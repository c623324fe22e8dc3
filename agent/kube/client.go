package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"secretsbridge/events"
)

const (
	// maxAnswer bounds one answer, in bytes: a page of 250 pods has some 3 MB, and no object of
	// Kubernetes more than 1.5 MB (etcd's limit of a request).
	maxAnswer = 16 << 20

	pageSize = 250

	// maxListed bounds the objects of one look, of all kinds: in a namespace that has more, what
	// belongs to an application is not worth the load on its API server each 15 s.
	maxListed = 20_000
)

// resource is one kind of object in the API.
type resource struct{ group, version, plural string }

var (
	pods         = resource{"", "v1", "pods"}
	secrets      = resource{"", "v1", "secrets"}
	deployments  = resource{"apps", "v1", "deployments"}
	statefulSets = resource{"apps", "v1", "statefulsets"}
	daemonSets   = resource{"apps", "v1", "daemonsets"}
	replicaSets  = resource{"apps", "v1", "replicasets"}
	jobs         = resource{"batch", "v1", "jobs"}
	cronJobs     = resource{"batch", "v1", "cronjobs"}
	rollouts     = resource{"argoproj.io", "v1alpha1", "rollouts"}

	externalSecrets    = resource{"external-secrets.io", "v1", "externalsecrets"}
	oldExternalSecrets = resource{"external-secrets.io", "v1beta1", "externalsecrets"}
	kustomizations     = resource{"kustomize.toolkit.fluxcd.io", "v1", "kustomizations"}
	helmReleases       = resource{"helm.toolkit.fluxcd.io", "v2", "helmreleases"}
)

// client makes the calls of one look.
type client struct {
	base    *url.URL
	http    *http.Client
	token   string
	allowed []string
	denials *denials

	at     time.Time // Date of the first answer: what was seen is no older
	listed int
}

// path is that of a resource in a namespace, of one object if it has a name. A namespace that is
// not allowed and a name that is none are refused here, so no request goes there.
func (c *client) path(r resource, namespace, name string) (string, error) {
	if !slices.Contains(c.allowed, namespace) {
		return "", &problem{events.RolloutForbidden, "the namespace is not in SB_AGENT_KUBE_NAMESPACES"}
	}
	path := "/api/" + r.version
	if r.group != "" {
		path = "/apis/" + r.group + "/" + r.version
	}
	path += "/namespaces/" + namespace + "/" + r.plural
	if name == "" {
		return path, nil
	}
	if !events.KubernetesName(name, events.MaxKubernetesName) {
		return "", &problem{events.RolloutNotFound, "nothing in Kubernetes can have such a name"}
	}
	return path + "/" + name, nil
}

// open asks for a path and returns the body of an answer of JSON, which the caller closes.
func (c *client) open(ctx context.Context, path, query, accept string) (io.ReadCloser, error) {
	at := c.base.JoinPath(path)
	at.RawQuery = query
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "secrets-bridge-agent")
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, failed(path, err)
	}
	if err := c.accepts(path, answer); err != nil {
		_ = answer.Body.Close()
		return nil, err
	}
	return answer.Body, nil
}

// accepts judges status and headers of an answer.
func (c *client) accepts(path string, answer *http.Response) error {
	date, err := http.ParseTime(answer.Header.Get("Date"))
	if c.at.IsZero() && err == nil {
		c.at = date.UTC()
	}
	if err := refused(path, answer.StatusCode); err != nil {
		return err
	}
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); kind != "application/json" || err != nil {
		return malformed(path)
	}
	return nil
}

// get reads one object.
func get[T any](ctx context.Context, c *client, r resource, namespace, name, query, accept string) (T, error) {
	var object T
	path, err := c.path(r, namespace, name)
	if err != nil {
		return object, err
	}
	body, err := c.open(ctx, path, query, accept)
	if err != nil {
		return object, err
	}
	defer body.Close()
	return object, decode(ctx, path, json.NewDecoder(newMeter(body)), &object)
}

// list hands every object to each, in pages. A list that expires while it is read begins anew,
// once; each gets what it had again then, after begin.
func list[T any](ctx context.Context, c *client, r resource, namespace, selector, accept string, begin func(), each func(T) error) error {
	for again := false; ; again = true {
		begin()
		err := pages(ctx, c, r, namespace, selector, accept, each)
		if !errors.Is(err, errExpired) || again {
			return err
		}
	}
}

func pages[T any](ctx context.Context, c *client, r resource, namespace, selector, accept string, each func(T) error) error {
	path, err := c.path(r, namespace, "")
	if err != nil {
		return err
	}
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if selector != "" {
		query.Set("labelSelector", selector)
	}
	for {
		next, err := page(ctx, c, path, query.Encode(), accept, each)
		if err != nil {
			return err
		}
		if next == "" {
			return nil
		}
		query.Set("continue", next)
	}
}

// page reads one page object by object, so that one object is in memory and not the page.
func page[T any](ctx context.Context, c *client, path, query, accept string, each func(T) error) (next string, err error) {
	body, err := c.open(ctx, path, query, accept)
	if err != nil {
		return "", err
	}
	defer body.Close()
	dec := json.NewDecoder(newMeter(body))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') {
		return "", unreadable(ctx, path, err)
	}
	items := false
	for dec.More() {
		field, err := dec.Token()
		if err != nil {
			return "", unreadable(ctx, path, err)
		}
		switch field {
		case "metadata":
			var meta struct {
				Continue string `json:"continue"`
			}
			err = decode(ctx, path, dec, &meta)
			next = meta.Continue
		case "items":
			items = true
			err = eachItem(ctx, c, path, dec, each)
		default:
			var skip json.RawMessage
			err = decode(ctx, path, dec, &skip)
		}
		if err != nil {
			return "", err
		}
	}
	if _, err := dec.Token(); err != nil || !items {
		return "", unreadable(ctx, path, err)
	}
	return next, nil
}

func eachItem[T any](ctx context.Context, c *client, path string, dec *json.Decoder, each func(T) error) error {
	opening, err := dec.Token()
	if err != nil {
		return unreadable(ctx, path, err)
	}
	if opening == nil {
		return nil // "items": null, as a Go server writes an empty list
	}
	if opening != json.Delim('[') {
		return malformed(path)
	}
	for dec.More() {
		if c.listed++; c.listed > maxListed {
			return tooLarge(path)
		}
		var item T
		if err := decode(ctx, path, dec, &item); err != nil {
			return err
		}
		if err := each(item); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return unreadable(ctx, path, err)
	}
	return nil
}

func decode(ctx context.Context, path string, dec *json.Decoder, into any) error {
	if err := dec.Decode(into); err != nil {
		return unreadable(ctx, path, err)
	}
	return nil
}

// unreadable says why a body is no use, and nothing of what is in it.
func unreadable(ctx context.Context, path string, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case ctx.Err() != nil:
		return failed(path, context.DeadlineExceeded)
	case errors.Is(err, errTooLong):
		return tooLarge(path)
	case err == nil, errors.As(err, &syntax), errors.As(err, &kind):
		return malformed(path)
	}
	var text *time.ParseError
	if errors.As(err, &text) {
		return malformed(path)
	}
	return &problem{events.RolloutUnreachable, path + ": the answer breaks off"}
}

func malformed(path string) error {
	return &problem{events.RolloutMalformed, path + ": the answer is not what the API of Kubernetes says"}
}

// errTooLong says that a body has more than [maxAnswer] bytes.
var errTooLong = errors.New("the answer is too long")

// meter reads maxAnswer bytes and no more.
type meter struct {
	from io.Reader
	left int
}

func newMeter(from io.Reader) *meter { return &meter{from: from, left: maxAnswer} }

// Read implements [io.Reader].
func (m *meter) Read(p []byte) (int, error) {
	if m.left == 0 {
		return 0, errTooLong
	}
	n, err := m.from.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}
