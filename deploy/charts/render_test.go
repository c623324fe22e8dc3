package charts_test

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"secretsbridge/deploy/container"
)

var update = flag.Bool("update", false, "write golden manifests again")

const (
	server = "secrets-bridge"
	agent  = "secrets-bridge-agent"

	release   = "sb"
	namespace = "bridge"
)

func TestMain(m *testing.M) {
	container.Init()
	os.Exit(m.Run())
}

// render is `helm template`: the real engine, with the chart's schema. Notes come as NOTES.txt.
func render(chart string, values map[string]any) (map[string]string, error) {
	loaded, err := loader.LoadDir(chart)
	if err != nil {
		return nil, err
	}
	options := common.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(loaded, values, options, common.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, err
	}
	short := map[string]string{}
	for name, text := range files {
		if strings.HasSuffix(name, ".tpl") {
			continue
		}
		short[strings.TrimPrefix(name, chart+"/templates/")] = text
	}
	return short, nil
}

// kinds are the types that a chart may make, by apiVersion and kind.
var kinds = map[string]func() metav1.Object{
	"apps/v1 Deployment":                       func() metav1.Object { return &appsv1.Deployment{} },
	"apps/v1 StatefulSet":                      func() metav1.Object { return &appsv1.StatefulSet{} },
	"batch/v1 Job":                             func() metav1.Object { return &batchv1.Job{} },
	"monitoring.coreos.com/v1 ServiceMonitor":  func() metav1.Object { return &monitoringv1.ServiceMonitor{} },
	"networking.k8s.io/v1 Ingress":             func() metav1.Object { return &networkingv1.Ingress{} },
	"networking.k8s.io/v1 NetworkPolicy":       func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	"policy/v1 PodDisruptionBudget":            func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	"rbac.authorization.k8s.io/v1 Role":        func() metav1.Object { return &rbacv1.Role{} },
	"rbac.authorization.k8s.io/v1 RoleBinding": func() metav1.Object { return &rbacv1.RoleBinding{} },
	"v1 ConfigMap":                             func() metav1.Object { return &corev1.ConfigMap{} },
	"v1 PersistentVolumeClaim":                 func() metav1.Object { return &corev1.PersistentVolumeClaim{} },
	"v1 Service":                               func() metav1.Object { return &corev1.Service{} },
	"v1 ServiceAccount":                        func() metav1.Object { return &corev1.ServiceAccount{} },
}

var separator = regexp.MustCompile(`(?m)^---\s*$`)

// manifests decodes what was rendered into Kubernetes' own types, and refuses a field that they
// have not.
func manifests(files map[string]string) ([]metav1.Object, error) {
	var all []metav1.Object
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == "NOTES.txt" {
			continue
		}
		for _, text := range separator.Split(files[name], -1) {
			if strings.TrimSpace(text) == "" {
				continue
			}
			var kind metav1.TypeMeta
			if err := yaml.Unmarshal([]byte(text), &kind); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
			}
			build := kinds[kind.APIVersion+" "+kind.Kind]
			if build == nil {
				return nil, fmt.Errorf("%s: there is no %q that a chart may make", name, kind.APIVersion+" "+kind.Kind)
			}
			o := build()
			if err := yaml.UnmarshalStrict([]byte(text), o); err != nil {
				return nil, fmt.Errorf("%s: %w\n%s", name, err, text)
			}
			all = append(all, o)
		}
	}
	return all, nil
}

// values reads a set of values of testdata.
func values(t *testing.T, chart, set string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", chart, set+".values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]any{}
	if err := yaml.UnmarshalStrict(raw, &parsed); err != nil {
		t.Fatalf("%s: %v", set, err)
	}
	return parsed
}

// sets are the names of a chart's sets of values.
func sets(t *testing.T, chart string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("testdata", chart, "*.values.yaml"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no values of %s: %v", chart, err)
	}
	for i, path := range found {
		found[i] = strings.TrimSuffix(filepath.Base(path), ".values.yaml")
	}
	return found
}

// rendered renders a set and decodes it.
func rendered(t *testing.T, chart, set string) []metav1.Object {
	t.Helper()
	files, err := render(chart, values(t, chart, set))
	if err != nil {
		t.Fatalf("%s with %s: %v", chart, set, err)
	}
	all, err := manifests(files)
	if err != nil {
		t.Fatalf("%s with %s: %v", chart, set, err)
	}
	return all
}

// of are the objects of one type.
func of[T metav1.Object](all []metav1.Object) []T {
	var found []T
	for _, o := range all {
		if o, ok := o.(T); ok {
			found = append(found, o)
		}
	}
	return found
}

func TestManifestsAreAsTheyWere(t *testing.T) {
	for _, chart := range charts {
		for _, set := range sets(t, chart) {
			files, err := render(chart, values(t, chart, set))
			if err != nil {
				t.Errorf("%s with %s: %v", chart, set, err)
				continue
			}
			var b bytes.Buffer
			for _, name := range slices.Sorted(maps.Keys(files)) {
				if text := strings.TrimSpace(files[name]); text != "" {
					fmt.Fprintf(&b, "--- # %s\n%s\n", name, strings.TrimPrefix(text, "---\n"))
				}
			}
			path := filepath.Join("testdata", chart, set+".golden.yaml")
			if *update {
				if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, b.Bytes()) {
				t.Errorf("%s with %s renders otherwise than %s: look at the difference after go test ./charts -update\n%s", chart, set, path, firstDifference(want, b.Bytes()))
			}
		}
	}
}

func firstDifference(want, got []byte) string {
	a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d: -%s +%s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(b), len(a))
}
