package charts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestNamesLeadSomewhere follows every name from one manifest to another: selectors, ports, mounts, accounts.
func TestNamesLeadSomewhere(t *testing.T) {
	for _, chart := range charts {
		for _, set := range sets(t, chart) {
			for _, problem := range dangling(rendered(t, chart, set)) {
				t.Errorf("%s with %s: %s", chart, set, problem)
			}
		}
	}
	// What is wrong on purpose is found.
	all := rendered(t, server, "cluster")
	of[*corev1.Service](all)[0].Spec.Ports[0].TargetPort = intstr.FromString("nothing")
	of[*appsv1.Deployment](all)[0].Spec.Template.Spec.Volumes[0].Name = "other"
	of[*policyv1.PodDisruptionBudget](all)[0].Spec.Selector.MatchLabels["x"] = "y"
	if found := dangling(all); len(found) < 4 {
		t.Errorf("of four mistakes %d are found: %q", len(found), found)
	}
}

func dangling(all []metav1.Object) (problems []string) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	pods := workloads(all)
	// selected are the pods of a selector.
	selected := func(who string, selector *metav1.LabelSelector) (found []corev1.PodTemplateSpec) {
		s, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil || s.Empty() {
			problem("%s has a selector of everything, or none: %v", who, err)
			return nil
		}
		for _, w := range pods {
			if s.Matches(labels.Set(w.pod.Labels)) {
				found = append(found, w.pod)
			}
		}
		if len(found) != 1 {
			problem("%s selects %d kinds of pods, want one", who, len(found))
		}
		return found
	}
	for _, o := range all {
		switch o := o.(type) {
		case *appsv1.Deployment:
			selected("Deployment", o.Spec.Selector)
		case *appsv1.StatefulSet:
			selected("StatefulSet", o.Spec.Selector)
		case *policyv1.PodDisruptionBudget:
			selected("PodDisruptionBudget", o.Spec.Selector)
		case *networkingv1.NetworkPolicy:
			if !slices.Equal(o.Spec.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
				problem("the NetworkPolicy leaves a direction open")
			}
			for _, pod := range selected("NetworkPolicy", &o.Spec.PodSelector) {
				for _, rule := range o.Spec.Ingress {
					for _, p := range rule.Ports {
						if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(c corev1.ContainerPort) bool { return c.ContainerPort == p.Port.IntVal }) {
							problem("the NetworkPolicy lets port %s in, which the pod has not", p.Port)
						}
					}
				}
			}
			for _, rule := range o.Spec.Egress {
				if len(rule.To) == 0 || len(rule.Ports) == 0 {
					problem("the NetworkPolicy lets everything out")
				}
			}
		case *corev1.Service:
			for _, pod := range selected("Service "+o.Name, &metav1.LabelSelector{MatchLabels: o.Spec.Selector}) {
				for _, p := range o.Spec.Ports {
					if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(c corev1.ContainerPort) bool { return c.Name == p.TargetPort.StrVal }) {
						problem("Service %s leads to port %s, which the pod has not", o.Name, p.TargetPort.StrVal)
					}
				}
			}
		case *networkingv1.Ingress:
			backend := o.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			if !slices.ContainsFunc(of[*corev1.Service](all), func(s *corev1.Service) bool {
				return s.Name == backend.Name && slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == backend.Port.Name })
			}) {
				problem("the Ingress leads to %s, port %s, which is not there", backend.Name, backend.Port.Name)
			}
		case *monitoringv1.ServiceMonitor:
			s, err := metav1.LabelSelectorAsSelector(&o.Spec.Selector)
			matched := 0
			for _, service := range of[*corev1.Service](all) {
				if err == nil && s.Matches(labels.Set(service.Labels)) && service.Spec.Ports[0].Name == o.Spec.Endpoints[0].Port {
					matched++
				}
			}
			if matched != 1 {
				problem("the ServiceMonitor finds %d services", matched)
			}
		case *rbacv1.RoleBinding:
			if !slices.ContainsFunc(of[*rbacv1.Role](all), func(r *rbacv1.Role) bool { return r.Name == o.RoleRef.Name && r.Namespace == o.Namespace }) {
				problem("RoleBinding %s gives a role that is not there", o.Name)
			}
			if name := o.Subjects[0].Name; name != pods[0].pod.Spec.ServiceAccountName {
				problem("RoleBinding %s is of account %s", o.Name, name)
			}
		}
	}
	for _, w := range pods {
		problems = append(problems, w.dangling(all)...)
	}
	return problems
}

// dangling follows the names within one template of pods.
func (w workload) dangling(all []metav1.Object) (problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, w.name+": "+fmt.Sprintf(format, args...))
	}
	volumes := map[string]bool{}
	for _, v := range w.pod.Spec.Volumes {
		if _, twice := volumes[v.Name]; twice {
			problem("volume %s is there twice", v.Name)
		}
		volumes[v.Name] = false
		if c := v.PersistentVolumeClaim; c != nil && len(of[*corev1.PersistentVolumeClaim](all)) > 0 && of[*corev1.PersistentVolumeClaim](all)[0].Name != c.ClaimName {
			problem("claim %s is not there", c.ClaimName)
		}
	}
	for _, s := range of[*appsv1.StatefulSet](all) {
		for _, claim := range s.Spec.VolumeClaimTemplates {
			if w.name == "StatefulSet "+s.Name {
				volumes[claim.Name] = false
			}
		}
	}
	for _, c := range containers(w.pod) {
		env := map[string]bool{}
		for _, e := range c.Env {
			if env[e.Name] {
				problem("%s is set twice", e.Name)
			}
			env[e.Name] = true
			if strings.HasSuffix(e.Name, "_FILE") && strings.HasPrefix(e.Value, "/") && !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return strings.HasPrefix(e.Value, m.MountPath+"/") }) {
				problem("%s is %s, where nothing is mounted", e.Name, e.Value)
			}
		}
		for _, m := range c.VolumeMounts {
			if _, ok := volumes[m.Name]; !ok {
				problem("volume %s is mounted and not there", m.Name)
			}
			volumes[m.Name] = true
		}
		for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if p != nil && p.HTTPGet != nil && !slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return port.Name == p.HTTPGet.Port.StrVal }) {
				problem("a probe asks port %s, which is not there", p.HTTPGet.Port.StrVal)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(volumes)) {
		if !volumes[name] {
			problem("volume %s is mounted nowhere", name)
		}
	}
	if name := w.pod.Spec.ServiceAccountName; name != "" && !slices.ContainsFunc(of[*corev1.ServiceAccount](all), func(s *corev1.ServiceAccount) bool { return s.Name == name }) {
		problem("service account %s is not there", name)
	}
	return problems
}
