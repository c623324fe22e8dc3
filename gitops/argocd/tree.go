package argocd

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// node is one object of an application, as its resource tree has it.
type node struct {
	objectRef
	Parents []objectRef `json:"parentRefs"`
	Info    []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"info"`
	ResourceVersion string `json:"resourceVersion"` // empty: not in the cluster
	Health          struct {
		Status string `json:"status"`
	} `json:"health"`
	CreatedAt time.Time `json:"createdAt"`
}

// objectRef names an object.
type objectRef struct {
	Group     string `json:"group"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	UID       string `json:"uid"`
}

// tree is all of an application that anybody asks about: what cannot make pods, hold the
// secret or bring it is left out.
type tree struct {
	nodes []node
	byUID map[string]int
}

// tree reads one.
func (s *session) tree(ctx context.Context, n appName) (*tree, error) {
	t := &tree{byUID: map[string]int{}}
	_, err := s.get(ctx, []string{"applications", n.name, "resource-tree"}, n.query(), func(d *json.Decoder) error {
		return readTree(d, t)
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// ignored takes any value and keeps nothing of it.
type ignored struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*ignored) UnmarshalJSON([]byte) error { return nil }

// readTree reads {"nodes": […], …} node by node, so that memory holds what is kept and one node.
func readTree(d *json.Decoder, t *tree) error {
	return readObject(d, "nodes", func(first json.Token) error { return readNodes(d, first, t) })
}

// readObject reads a document that is an object, of which one field matters. Read is given the
// first token of that, and reads the rest of it.
func readObject(d *json.Decoder, field string, read func(first json.Token) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for met := false; d.More(); {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if key != field {
			var nothing ignored
			if err := d.Decode(&nothing); err != nil {
				return err
			}
			continue
		}
		if met {
			return malformed("an answer of Argo CD says the same twice")
		}
		met = true
		first, err := d.Token()
		if err != nil {
			return err
		}
		if err := read(first); err != nil {
			return err
		}
	}
	if err := expect(d, '}'); err != nil {
		return err
	}
	return ended(d)
}

// readNodes reads the nodes, or null where an application has none.
func readNodes(d *json.Decoder, first json.Token, t *tree) error {
	if first == nil {
		return nil
	}
	if first != json.Delim('[') {
		return malformed("a resource tree's nodes are no list")
	}
	for count := 0; d.More(); count++ {
		if count == maxNodes {
			return tooLarge("a resource tree has more than 20,000 nodes")
		}
		var n node
		if err := d.Decode(&n); err != nil {
			return err
		}
		if err := t.add(n); err != nil {
			return err
		}
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, delim rune) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token != json.Delim(delim) {
		return malformed("an answer of Argo CD is not what its API says")
	}
	return nil
}

// add keeps a node if it is of a kind that matters.
func (t *tree) add(n node) error {
	if !n.matters() {
		return nil
	}
	if !names.MatchString(n.Name) || !names.MatchString(n.Namespace) || len(n.UID) > 64 || len(n.ResourceVersion) > 64 {
		return malformed("a resource tree has an object that Kubernetes would not have")
	}
	if n.Kind == "Secret" {
		n.Info = nil // says what it is, such as of which type
	}
	if n.UID != "" {
		t.byUID[n.UID] = len(t.nodes)
	}
	t.nodes = append(t.nodes, n)
	return nil
}

// matters reports whether it can hold the secret, bring it, or make pods.
func (n node) matters() bool {
	return n.makesPods() || n.is("", "Secret") || n.external()
}

func (n objectRef) is(group, kind string) bool { return n.Group == group && n.Kind == kind }

func (n objectRef) external() bool { return n.is("external-secrets.io", "ExternalSecret") }

// makesPods reports whether it is of a kind whose pods are counted, or a pod.
func (n objectRef) makesPods() bool {
	switch n.Group {
	case "":
		return n.Kind == "Pod"
	case "apps":
		return n.Kind == "Deployment" || n.Kind == "StatefulSet" || n.Kind == "DaemonSet" || n.Kind == "ReplicaSet"
	case "batch":
		return n.Kind == "Job" || n.Kind == "CronJob"
	case "argoproj.io":
		return n.Kind == "Rollout"
	}
	return false
}

// maker is what made a node in the end: the last of its parents that makes pods, or itself. Parents
// of other kinds are not told apart from none.
func (t *tree) maker(at int) int {
	for range maxParents {
		next, found := at, false
		for _, parent := range t.nodes[at].Parents {
			if i, known := t.byUID[parent.UID]; known && i != at && t.nodes[i].makesPods() {
				next, found = i, true
				break
			}
		}
		if !found {
			return at
		}
		at = next
	}
	return at
}

// Words of Argo CD for a pod that is not over, as in kubectl's column STATUS (controller/cache/info.go).
// Others, such as Completed and Error, are those of pods that are over and of those whose
// containers are about to start again.
var notOver = map[string]bool{
	"Running": true, "Pending": true, "ContainerCreating": true, "PodInitializing": true, "Terminating": true,
	"CrashLoopBackOff": true, "ImagePullBackOff": true, "ErrImagePull": true, "CreateContainerConfigError": true,
}

// lives reports whether a pod is surely not over.
func (n node) lives() bool {
	for _, info := range n.Info {
		if info.Name == "Status Reason" {
			return notOver[info.Value] || strings.HasPrefix(info.Value, "Init:")
		}
	}
	return false
}
