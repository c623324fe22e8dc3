package charts_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unreachable are settings of the programs that a chart offers on purpose nowhere.
var unreachable = map[string]string{
	"SB_DEMO_PASSWORD":    "of people whom only sb-server dev has",
	"SB_DEMO_FILL_VAULT":  "of sb-server dev",
	"SB_SMTP_PASSWORD":    "a password in the environment of a pod is read by whoever may read pods: SB_SMTP_PASSWORD_FILE",
	"SB_AGENT_KUBECONFIG": "an agent in a cluster has a service account",
}

var (
	tagged  = regexp.MustCompile(`env:"(SB_[A-Z0-9_]+)"`)
	asked   = regexp.MustCompile(`"(SB_[A-Z0-9_]+)"`)
	yamlTag = regexp.MustCompile("yaml:\"([a-z_]+)\"")
)

// named are the names that a pattern finds in the source of a command.
func named(t *testing.T, command string, pattern *regexp.Regexp, files string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("../../cmd", command, files))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no source of %s: %v", command, err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllSubmatch(text, -1) {
			found[string(m[1])] = true
		}
	}
	return found
}

type schema struct {
	Properties map[string]schema
	Defs       map[string]schema `json:"$defs"`
	Additional any               `json:"additionalProperties"`
	Names      *json.RawMessage  `json:"propertyNames"`
	Type       any
	OneOf      []schema
	Items      *schema
}

func schemaOf(t *testing.T, chart string) schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestChartsOfferTheSettingsThatThereAre holds both ways: what a chart sets, the program knows; what
// the program knows, the chart sets or lets people set.
func TestChartsOfferTheSettingsThatThereAre(t *testing.T) {
	settings := map[string]map[string]bool{server: named(t, "sb-server", tagged, "*.go"), agent: named(t, "sb-agent", asked, "*.go")}
	if len(settings[server]) < 70 || len(settings[agent]) < 6 {
		t.Fatalf("%d settings of the server, %d of the agent: the source is read wrongly", len(settings[server]), len(settings[agent]))
	}
	for _, chart := range charts {
		offered := map[string]bool{}
		for _, set := range sets(t, chart) {
			for _, w := range workloads(rendered(t, chart, set)) {
				for _, c := range containers(w.pod) {
					for _, e := range c.Env {
						offered[e.Name] = true
					}
				}
			}
		}
		for name := range schemaOf(t, chart).Properties["settings"].Properties {
			offered[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(offered)) {
			if strings.HasPrefix(name, "SB_") && !settings[chart][name] {
				t.Errorf("%s sets %s, which the program does not know", chart, name)
			}
			if unreachable[name] != "" {
				t.Errorf("%s offers %s, although it is %s", chart, name, unreachable[name])
			}
		}
		for _, name := range slices.Sorted(maps.Keys(settings[chart])) {
			if !offered[name] && unreachable[name] == "" {
				t.Errorf("%s offers no way to set %s: add it to properties.settings of %s/values.schema.json", chart, name, chart)
			}
		}
	}
}

// TestTheAgentsSchemaHasEveryField compares with the fields that the agent decodes.
func TestTheAgentsSchemaHasEveryField(t *testing.T) {
	s := schemaOf(t, agent)
	for def, file := range map[string]string{"file": "file.go", "vault": "vault.go", "aws": "aws.go", "azure": "azure.go", "gcp": "gcp.go", "": "config.go"} {
		have := s.Defs[def].Properties
		if def == "" {
			have = s.Properties["config"].Properties
		}
		fields := map[string]bool{}
		for name, of := range have {
			fields[name] = true
			if def != "" {
				for name := range of.Properties {
					fields[name] = true
				}
			}
		}
		if want := named(t, "sb-agent", yamlTag, file); len(want) < 4 || !maps.Equal(want, fields) {
			t.Errorf("%s: the schema has %v, and the agent %v", file, slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(want)))
		}
	}
}

// TestWhatIsUnknownIsRefused holds every object of the schemas closed, and tries some.
func TestWhatIsUnknownIsRefused(t *testing.T) {
	for _, chart := range charts {
		var walk func(path string, s schema)
		walk = func(path string, s schema) {
			if s.Type == "object" && len(s.Properties) > 0 && s.Additional != false && path != "$defs.connection" {
				t.Errorf("%s: %s takes what it does not know", chart, path)
			}
			for name, p := range s.Properties {
				walk(path+"."+name, p)
			}
			for name, d := range s.Defs {
				walk("$defs."+name, d)
			}
			for _, o := range s.OneOf {
				walk(path, o)
			}
			if s.Items != nil {
				walk(path+"[]", *s.Items)
			}
		}
		walk("", schemaOf(t, chart))
	}
	for _, c := range []struct {
		chart, set, path string
		value            any
		want             string
	}{
		{agent, "smallest", "replicas", 2, "'replicas'"},
		{agent, "smallest", "server.urls", "x", "'urls'"},
		{agent, "smallest", "server.url", "http://sb.example.com", "does not match pattern"},
		{agent, "smallest", "config.connections.vault-eu.adress", "x", "'adress'"},
		{agent, "smallest", "config.connections.vault-eu.auth.token", "x", "'token'"},
		{agent, "smallest", "config.connections.vault-eu.provider", "vualt", "value must be one of"},
		{agent, "smallest", "config.slots", 99, "maximum"},
		{agent, "smallest", "env.SB_AGENT_DIR", "/tmp", "'SB_AGENT_DIR'"},
		{agent, "smallest", "server.ca", "-----BEGIN CERTIFICATE-----\n", "both set"},
		{agent, "smallest", "server.caFrom", map[string]any{}, "CA of the control plane is missing"},
		{agent, "smallest", "networkPolicy.hub.to", []any{}, "networkPolicy.hub.to is empty"},
		{agent, "smallest", "kubernetes.enabled", true, "kubernetes.namespaces is empty"},
		{agent, "kubernetes", "networkPolicy.kubernetesAPI.to", []any{}, "addresses of the API server"},
		{server, "cluster", "settings.SB_KMS", "local", "value must be one of"},
		{server, "cluster", "settings.SB_PENDING_TLT", "1h", "'SB_PENDING_TLT'"},
		{server, "cluster", "settings.SB_DATABASE_URL", "postgres://", "'SB_DATABASE_URL'"},
		{server, "cluster", "settings.SB_SMTP_PASSWORD", "x", "'SB_SMTP_PASSWORD'"},
		{server, "cluster", "nats.replicas", 1, "value must be one of"},
		{server, "cluster", "nats.urls", []any{"nats://n:4222"}, "does not match pattern"},
		{server, "cluster", "leaf.urls", []any{}, "minItems"},
		{server, "cluster", "tls.secret", nil, "tls"},
		{server, "cluster", "database.ownerSecret", "", "database.ownerSecret is empty"},
		{server, "cluster", "persistence.existingClaim", "x", "the servers keep nothing"},
		{server, "cluster", "networkPolicy.egress", []any{}, "networkPolicy.egress is empty"},
		{server, "cluster", "ingress.host", "", "ingress.host is empty"},
		{server, "cluster", "terminationGracePeriodSeconds", 25, "too short"},
		{server, "single", "nats.keysSecret", "x", "makes its own keys"},
	} {
		v := values(t, c.chart, c.set)
		at, path := v, strings.Split(c.path, ".")
		for _, name := range path[:len(path)-1] {
			next, ok := at[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[name] = next
			}
			at = next
		}
		at[path[len(path)-1]] = c.value
		if _, err := render(c.chart, v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s = %v: %v, want %q", c.chart, c.path, c.value, err, c.want)
		}
	}
}
