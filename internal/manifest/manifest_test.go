package manifest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"secretsbridge/events"
	"secretsbridge/internal/manifest"
)

func TestWhoTakesWhichSecret(t *testing.T) {
	const env, volume = events.UseEnvironment, events.UseVolume
	for name, c := range map[string]struct {
		text string
		want map[string]events.WorkloadUse
	}{
		"the environment": {`{"kind":"Deployment","spec":{"template":{"spec":{"containers":[
			{"env":[{"name":"A","value":"x"},{"name":"B","valueFrom":{"secretKeyRef":{"name":"db","key":"k"}}},{"name":"C","valueFrom":{"configMapKeyRef":{"name":"cm","key":"k"}}}]}]}}}}`,
			map[string]events.WorkloadUse{"db": env}},
		"all of it as the environment, of an init container": {`{"kind":"StatefulSet","spec":{"template":{"spec":{
			"initContainers":[{"envFrom":[{"configMapRef":{"name":"cm"}},{"secretRef":{"name":"db"}}]}],"containers":[{}]}}}}`,
			map[string]events.WorkloadUse{"db": env}},
		"a volume": {`{"kind":"DaemonSet","spec":{"template":{"spec":{"containers":[{"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
			"volumes":[{"name":"v","secret":{"secretName":"db"}},{"name":"e","emptyDir":{}}]}}}}`,
			map[string]events.WorkloadUse{"db": volume}},
		"a projected volume": {`{"kind":"Rollout","spec":{"template":{"spec":{"containers":[{}],
			"volumes":[{"name":"v","projected":{"sources":[{"configMap":{"name":"cm"}},{"secret":{"name":"db"}},{"serviceAccountToken":{"path":"t"}}]}}]}}}}`,
			map[string]events.WorkloadUse{"db": volume}},
		"a subPath is like the environment": {`{"kind":"Job","spec":{"template":{"spec":{"containers":[{"volumeMounts":[{"name":"v","subPath":"p"}]}],
			"volumes":[{"name":"v","secret":{"secretName":"db"}},{"name":"w","secret":{"secretName":"other"}}]}}}}`,
			map[string]events.WorkloadUse{"db": env, "other": volume}},
		"so is one from an expression": {`{"kind":"Job","spec":{"template":{"spec":{"containers":[{"volumeMounts":[{"name":"v","subPathExpr":"$(P)"}]}],
			"volumes":[{"name":"v","projected":{"sources":[{"secret":{"name":"db"}}]}}]}}}}`,
			map[string]events.WorkloadUse{"db": env}},
		"the environment counts before a volume": {`{"kind":"CronJob","spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db"}}]}],
			"volumes":[{"name":"v","secret":{"secretName":"db"}}]}}}}}}`,
			map[string]events.WorkloadUse{"db": env}},
		"a pod": {`{"kind":"Pod","spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db"}}]}]}}`,
			map[string]events.WorkloadUse{"db": env}},
		"what pulls images, and what a driver brings": {`{"kind":"Deployment","spec":{"template":{"spec":{"imagePullSecrets":[{"name":"pull"}],"containers":[{}],
			"volumes":[{"name":"v","csi":{"driver":"secrets-store.csi.k8s.io","volumeAttributes":{"secretProviderClass":"db"}}}]}}}}`,
			map[string]events.WorkloadUse{}},
	} {
		w, err := manifest.Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(c.want, w.Uses()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAWorkloadThatIsTurnedOff(t *testing.T) {
	for text, idle := range map[string]bool{
		`{"spec":{"replicas":0}}`: true,
		`{"spec":{"replicas":1}}`: false,
		`{"spec":{}}`:             false,
	} {
		if w, err := manifest.Parse([]byte(text)); err != nil || w.Idle() != idle {
			t.Errorf("%s: idle %v, %v", text, w.Idle(), err)
		}
	}
}

func TestAPodThatIsOver(t *testing.T) {
	for text, over := range map[string]bool{
		`{"kind":"Pod","status":{"phase":"Succeeded"}}`: true,
		`{"kind":"Pod","status":{"phase":"Failed"}}`:    true,
		`{"kind":"Pod","status":{"phase":"Running"}}`:   false,
		`{"kind":"Job","status":{"phase":"Failed"}}`:    false, // a field that it does not have
	} {
		if w, err := manifest.Parse([]byte(text)); err != nil || w.Over() != over {
			t.Errorf("%s: over %v, %v", text, w.Over(), err)
		}
	}
}

func TestARolloutMayTakeItsTemplateFromADeployment(t *testing.T) {
	w, err := manifest.Parse([]byte(`{"kind":"Rollout","spec":{"workloadRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"api"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if kind, name := w.TemplateOf(); kind != "Deployment" || name != "api" {
		t.Errorf("its template is of %s %s", kind, name)
	}
}

func TestWhatAnExternalSecretSays(t *testing.T) {
	e, err := manifest.ParseExternalSecret([]byte(`{"apiVersion":"external-secrets.io/v1","kind":"ExternalSecret","metadata":{"name":"db","namespace":"shop"},
		"spec":{"refreshInterval":"1h0m0s","target":{"name":"db-secret"},"data":[{"secretKey":"p","remoteRef":{"key":"secret/prod/db","property":"p"}},{"secretKey":"u","remoteRef":{"key":"secret/prod/db"}}],
			"dataFrom":[{"extract":{"key":"prod/other"}},{"find":{"name":{"regexp":"x"}}}]},
		"status":{"refreshTime":"2026-11-27T20:00:01Z","conditions":[{"type":"Deleted","status":"True"},{"type":"Ready","status":"True","reason":"SecretSynced"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"prod/other", "secret/prod/db"}, e.Keys()); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if !e.Takes(events.ProviderVault, "secret/prod/other", "7") || e.Takes(events.ProviderVault, "secret/prod/third", "") {
		t.Error("it takes what it does not name, or the other way round")
	}
	if e.Secret() != "db-secret" || !e.Ready() || !e.Refreshed().Equal(time.Date(2026, 11, 27, 20, 0, 1, 0, time.UTC)) {
		t.Errorf("secret %q, ready %v, refreshed %v", e.Secret(), e.Ready(), e.Refreshed())
	}

	fresh, err := manifest.ParseExternalSecret([]byte(`{"metadata":{"name":"db"},"spec":{},"status":{"refreshTime":null,"conditions":[{"type":"Ready","status":"False"}]}}`))
	if err != nil || fresh.Secret() != "db" || fresh.Ready() || !fresh.Refreshed().IsZero() || fresh.Keys() != nil {
		t.Errorf("one that was never refreshed: %+v, %v", fresh, err)
	}
}

func TestAPinnedVersionBringsNoOther(t *testing.T) {
	e, err := manifest.ParseExternalSecret([]byte(`{"spec":{"data":[{"remoteRef":{"key":"pinned","version":"3"}},{"remoteRef":{"key":"aws","version":"AWSCURRENT"}}],
		"dataFrom":[{"extract":{"key":"gcp","version":"latest"}},{"extract":{"key":"both","version":"3"}},{"extract":{"key":"both"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref, version string
		takes        bool
	}{
		{"pinned", "3", true},
		{"pinned", "4", false},
		{"pinned", "", true},
		{"aws", "4", true},
		{"gcp", "4", true},
		{"both", "4", true},
		{"none", "", false},
	} {
		if e.Takes(events.ProviderFile, c.ref, c.version) != c.takes {
			t.Errorf("%s in version %q is taken: %v", c.ref, c.version, !c.takes)
		}
	}
}

func TestErrorsQuoteNothing(t *testing.T) {
	const canary = "hush5b1"
	for _, text := range []string{canary, `{"spec":"` + canary + `"}`, `{"spec":{"template":{"spec":{"containers":[{"env":"` + canary + `"}]}}},"status":{"refreshTime":"` + canary + `"}}`} {
		_, workload := manifest.Parse([]byte(text))
		_, external := manifest.ParseExternalSecret([]byte(text))
		for _, err := range []error{workload, external} {
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%v quotes the manifest", err)
			}
		}
		if workload == nil && external == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"kind":"Deployment","spec":{"replicas":1,"template":{"spec":{"containers":[{"envFrom":[{"secretRef":{"name":"db"}}]}]}}}}`))
	f.Add([]byte(`{"metadata":{"name":"db"},"spec":{"data":[{"remoteRef":{"key":"k"}}]},"status":{"refreshTime":null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if w, err := manifest.Parse(text); err == nil {
			for name, use := range w.Uses() {
				if name == "" || use == "" {
					t.Errorf("%q is taken as %q", name, use)
				}
			}
			w.TemplateOf()
		}
		if e, err := manifest.ParseExternalSecret(text); err == nil {
			e.Secret()
			e.Keys()
		}
	})
}
