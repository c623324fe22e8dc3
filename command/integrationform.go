package command

import (
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"secretsbridge/events"
)

// Bounds of what an integration is told. A chain of authorities has three or four certificates.
const (
	MaxAddress       = 512 // bytes
	MaxAuthorities   = 10
	MaxAuthorityText = 32 << 10 // bytes of PEM
	MaxFilter        = 50       // projects
	MaxMappedLabels  = 10
	MaxSelector      = 1024 // bytes
)

// Names of Kubernetes: RFC 1123 labels and subdomains, and those of labels
// (kubernetes.io, "Object Names and IDs", "Labels and Selectors").
var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	labelName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	plainPath    = regexp.MustCompile(`^[A-Za-z0-9._~/-]*$`)
	plainHost    = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)
)

func validSubdomain(s string) bool { return len(s) <= 253 && dnsSubdomain.MatchString(s) }

// CheckSettings refuses settings that are not those of a kind.
func CheckSettings(kind events.IntegrationKind, s events.IntegrationSettings) error {
	if utf8.RuneCountInString(s.Description) > MaxReason {
		return ErrDescriptionLength
	}
	if fault := settingsFault(kind, s); fault != "" {
		return ErrIntegrationSettings.because(fault)
	}
	return nil
}

func settingsFault(kind events.IntegrationKind, s events.IntegrationSettings) string {
	argo := kind == events.IntegrationArgoCD
	switch {
	case kind.Told() && !plainHost.MatchString(s.Address):
		return "where messages go has no host"
	case kind.ByAgent() && s.Address != "":
		return "only argo-cd has an address; of flux and kubernetes say the cluster whose agents look"
	case !argo && s.CA != "":
		return "only argo-cd has authorities of its own"
	case !argo && s.Namespace != "":
		return "only argo-cd has a namespace; of others a mapping says it"
	case kind.ByAgent() && !events.ValidName(string(s.Cluster)):
		return "say the cluster whose agents look"
	case !kind.ByAgent() && s.Cluster != "":
		return "only flux and kubernetes are looked at by the agents of a cluster"
	case !kind.Told() && len(s.Notices)+len(s.Projects) > 0:
		return "only webhook, slack and teams are told anything, so notices and projects choose nothing"
	case s.Namespace != "" && !dnsLabel.MatchString(s.Namespace):
		return "the namespace is no name of a namespace"
	case hasTwice(s.Notices) || slices.ContainsFunc(s.Notices, func(k events.NoticeKind) bool { return !k.Valid() }):
		return "a notice is there twice, or is none that can be chosen; docs/how-to/integrations.md lists them"
	case len(s.Projects) > MaxFilter || hasTwice(s.Projects) || slices.ContainsFunc(s.Projects, func(p string) bool { return !events.ValidName(p) }):
		return fmt.Sprintf("projects are at most %d names of projects, each once", MaxFilter)
	}
	if argo {
		if fault := addressFault(s.Address); fault != "" {
			return fault
		}
		return authoritiesFault(s.CA)
	}
	return ""
}

func hasTwice[T comparable](list []T) bool {
	for i, item := range list {
		if slices.Contains(list[:i], item) {
			return true
		}
	}
	return false
}

// addressFault says what is wrong with the address of something that gets a token. It does not
// repeat it: it may hold a password.
func addressFault(address string) string {
	const form = "the address is https://HOST[:PORT][/PATH]"
	rest, https := strings.CutPrefix(address, "https://")
	host, path, _ := strings.Cut(rest, "/")
	switch {
	case strings.ContainsAny(rest, "@?#"):
		return form + ", without user, query and fragment"
	case !https || len(address) > MaxAddress || !ValidHost(host):
		return form
	case !plainPath.MatchString(path) || slices.Contains(strings.Split(path, "/"), "..") || strings.Contains(path, "//"):
		return form + `, and its path is plain, without "..", "//" and percent encoding`
	}
	return ""
}

// ValidHost reports whether s is HOST[:PORT] of something that is called: a name or an address,
// and a port that exists.
func ValidHost(s string) bool {
	if len(s) > 259 || !plainHost.MatchString(s) {
		return false
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		port, err := strconv.Atoi(s[i+1:])
		return err == nil && port > 0 && port < 1<<16
	}
	return true
}

// authoritiesFault looks at the form alone: what reads certificates is no part of a decider.
func authoritiesFault(text string) string {
	if text == "" {
		return ""
	}
	fault := fmt.Sprintf("the authorities are PEM of 1 to %d certificates, at most %d KiB, and nothing else", MaxAuthorities, MaxAuthorityText>>10)
	if len(text) > MaxAuthorityText {
		return fault
	}
	rest, n := []byte(text), 0
	for len(strings.TrimSpace(string(rest))) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return fault
		}
		n++
	}
	if n == 0 || n > MaxAuthorities {
		return fault
	}
	return ""
}

func checkMapping(kind events.IntegrationKind, s events.MappedSecrets, t events.RolloutTarget) error {
	switch {
	case !events.ValidName(string(s.Connection)):
		return ErrMappingInvalid.because("say the connection that the secrets are of")
	case (s.Ref == "") == (len(s.Labels) == 0):
		return ErrMappingInvalid.because("say either the ref of one secret, or the labels of some")
	case len(s.Labels) > MaxMappedLabels || !events.ValidLabels(s.Labels):
		return ErrMappingInvalid.because(fmt.Sprintf("labels are at most %d that a secret can have", MaxMappedLabels))
	}
	if s.Ref != "" {
		if err := checkRef(s.Ref); err != nil {
			return err
		}
	}
	if fault := targetFault(kind, t); fault != "" {
		return ErrMappingInvalid.because(fault)
	}
	return nil
}

// targetsOf are what can be looked at, by the kind of the integration.
var targetsOf = map[events.IntegrationKind][]string{
	events.IntegrationArgoCD:     {"Application"},
	events.IntegrationFlux:       {"Kustomization", "HelmRelease"},
	events.IntegrationKubernetes: {"Namespace"},
}

func targetFault(kind events.IntegrationKind, t events.RolloutTarget) string {
	if !slices.Contains(targetsOf[kind], t.Kind) {
		return "the target of an integration of kind " + string(kind) + " is of kind " + strings.Join(targetsOf[kind], " or ")
	}
	namespace := t.Kind == "Namespace"
	switch {
	case namespace && (t.Namespace != "" || !dnsLabel.MatchString(t.Name)):
		return "the name of a Namespace target is that of the namespace, and there is no other"
	case !namespace && !validSubdomain(t.Name):
		return "the name is none that Kubernetes takes"
	case kind == events.IntegrationFlux && !dnsLabel.MatchString(t.Namespace):
		return "say the namespace that the " + t.Kind + " lies in"
	case t.Namespace != "" && !dnsLabel.MatchString(t.Namespace):
		return "the namespace is no name of a namespace"
	case !namespace && t.Selector != "":
		return "only a Namespace target has a selector: others know their workloads"
	case t.Selector != "" && !validSelector(t.Selector):
		return fmt.Sprintf("the selector is LABEL=VALUE,… of at most %d labels", MaxMappedLabels)
	case t.Secret != "" && !validSecretName(t.Secret):
		return "the secret is NAME or NAMESPACE/NAME of a Kubernetes Secret"
	}
	return ""
}

func validSecretName(s string) bool {
	space, name, found := strings.Cut(s, "/")
	if !found {
		return validSubdomain(s)
	}
	return dnsLabel.MatchString(space) && validSubdomain(name)
}

func validSelector(s string) bool {
	pairs := strings.Split(s, ",")
	if len(s) > MaxSelector || len(pairs) > MaxMappedLabels {
		return false
	}
	seen := []string{}
	for _, pair := range pairs {
		label, value, found := strings.Cut(pair, "=")
		prefix, name, prefixed := strings.Cut(label, "/")
		if !prefixed {
			prefix, name = "", label
		}
		if !found || prefixed && !validSubdomain(prefix) || !labelName.MatchString(name) || value != "" && !labelName.MatchString(value) || slices.Contains(seen, label) {
			return false
		}
		seen = append(seen, label)
	}
	return true
}
