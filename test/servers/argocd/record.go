package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// exchange is one GET and its answer.
type exchange struct {
	Request     string          `json:"request"` // path and query
	Status      int             `json:"status"`
	Date        string          `json:"date"`
	ContentType string          `json:"content_type"`
	Body        json.RawMessage `json:"body"`
}

// read asks as the account that reads; token "" asks as nobody.
func (s *stack) read(ctx context.Context, token, path string) (exchange, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.argo.base+path, nil)
	if err != nil {
		return exchange{}, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.argo.client.Do(req)
	if err != nil {
		return exchange{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return exchange{}, err
	}
	// Nothing of this run's tokens or folders stays in what is written down.
	for _, hidden := range []string{s.token, s.argo.token, kubeToken} {
		if hidden != "" && bytes.Contains(body, []byte(hidden)) {
			return exchange{}, fmt.Errorf("the answer to %s holds a token", path)
		}
	}
	body = bytes.ReplaceAll(body, []byte("file://"+s.path("repo")), []byte("https://git.example/shop.git"))
	body = bytes.ReplaceAll(body, []byte(s.dir), []byte("/run/recording"))
	if !json.Valid(body) {
		return exchange{}, fmt.Errorf("the answer to %s is no JSON: %.200s", path, body)
	}
	return exchange{path, res.StatusCode, res.Header.Get("Date"), res.Header.Get("Content-Type"), body}, nil
}

// look reads an application, its tree, and the manifests of all that a reader could ask for.
func (s *stack) look(ctx context.Context, name string) ([]exchange, error) {
	var all []exchange
	for _, path := range []string{"/api/v1/applications/" + name, "/api/v1/applications/" + name + "/resource-tree"} {
		e, err := s.read(ctx, s.token, path)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	var tree struct {
		Nodes []struct{ Group, Version, Kind, Namespace, Name string }
	}
	if err := json.Unmarshal(all[1].Body, &tree); err != nil {
		return nil, err
	}
	for _, n := range tree.Nodes {
		switch n.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Rollout", "Job", "ExternalSecret", "Pod":
		default:
			continue
		}
		if n.Kind == "Pod" && !strings.HasPrefix(n.Name, "seed") {
			continue // the tree says enough of others
		}
		query := url.Values{"namespace": {n.Namespace}, "resourceName": {n.Name}, "group": {n.Group}, "version": {n.Version}, "kind": {n.Kind}}
		e, err := s.read(ctx, s.token, "/api/v1/applications/"+name+"/resource?"+query.Encode())
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// save writes one recording, an exchange a line.
func save(out, name string, all []exchange) error {
	lines := make([][]byte, len(all))
	for i, e := range all {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		lines[i] = line
	}
	text := slices.Concat([]byte("[\n"), bytes.Join(lines, []byte(",\n")), []byte("\n]\n"))
	fmt.Println(name, len(all), "exchanges,", len(text), "bytes")
	return os.WriteFile(filepath.Join(out, name+".json"), text, 0o644)
}
