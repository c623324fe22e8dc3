// Package charts_test holds the charts against what they will meet: Helm's own engine and linter,
// the types of Kubernetes, its Pod Security standard, and the programs that the images have.
package charts_test

import (
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

var charts = []string{agent, server}

func TestHelmHasNothingToSay(t *testing.T) {
	for _, chart := range charts {
		for _, set := range sets(t, chart) {
			for _, m := range lint.RunAll(chart, values(t, chart, set), namespace).Messages {
				if m.Severity > support.InfoSev {
					t.Errorf("%s with %s: %v", chart, set, m)
				}
			}
		}
	}
}

// workload is one template of pods.
type workload struct {
	name string
	pod  corev1.PodTemplateSpec
}

func workloads(all []metav1.Object) []workload {
	var found []workload
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.Deployment:
			found = append(found, workload{"Deployment " + o.Name, o.Spec.Template})
		case *appsv1.StatefulSet:
			found = append(found, workload{"StatefulSet " + o.Name, o.Spec.Template})
		case *batchv1.Job:
			found = append(found, workload{"Job " + o.Name, o.Spec.Template})
		}
	}
	return found
}

func TestPodsAreRestricted(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	allowed := func(pod corev1.PodTemplateSpec) (bool, string) {
		result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
		return result.Allowed, result.ForbiddenDetail()
	}
	for _, chart := range charts {
		for _, set := range sets(t, chart) {
			found := workloads(rendered(t, chart, set))
			if len(found) == 0 {
				t.Errorf("%s with %s runs nothing", chart, set)
			}
			for _, w := range found {
				if ok, why := allowed(w.pod); !ok {
					t.Errorf("%s with %s: %s: %s", chart, set, w.name, why)
				}
				for _, c := range containers(w.pod) {
					s := c.SecurityContext
					if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || s.RunAsUser == nil || *s.RunAsUser != 65532 {
						t.Errorf("%s with %s: %s: %s has not a root that cannot be written, or runs as another", chart, set, w.name, c.Name)
					}
					if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
						t.Errorf("%s with %s: %s: %s does not say what it needs", chart, set, w.name, c.Name)
					}
				}
				w.pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil
				if ok, _ := allowed(w.pod); ok {
					t.Errorf("%s: the check does not see a privilege", w.name)
				}
			}
		}
	}
}

func containers(pod corev1.PodTemplateSpec) []corev1.Container {
	return append(append([]corev1.Container(nil), pod.Spec.InitContainers...), pod.Spec.Containers...)
}

// TestNoTokenUnlessAsked looks at every way in which a pod gets a token of its service account.
func TestNoTokenUnlessAsked(t *testing.T) {
	for _, chart := range charts {
		for _, set := range sets(t, chart) {
			asked := strings.HasPrefix(set, "kubernetes")
			all := rendered(t, chart, set)
			for _, sa := range of[*corev1.ServiceAccount](all) {
				if sa.AutomountServiceAccountToken == nil || *sa.AutomountServiceAccountToken {
					t.Errorf("%s with %s: the service account gives its token to every pod", chart, set)
				}
			}
			for _, w := range workloads(all) {
				mounted := w.pod.Spec.AutomountServiceAccountToken == nil || *w.pod.Spec.AutomountServiceAccountToken
				for _, v := range w.pod.Spec.Volumes {
					mounted = mounted || v.Projected != nil
				}
				if mounted != asked {
					t.Errorf("%s with %s: %s has a token: %t, asked for one: %t", chart, set, w.name, mounted, asked)
				}
			}
		}
	}
}
