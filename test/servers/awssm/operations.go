package awssm

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"secretsbridge/test/servers/awsjson"
)

// operations are what the fake can do, by their names in the protocol.
var operations = map[string]func(*Server, []byte) (any, *failure){
	"CreateSecret":             (*Server).createSecret,
	"GetSecretValue":           (*Server).getSecretValue,
	"PutSecretValue":           (*Server).putSecretValue,
	"UpdateSecretVersionStage": (*Server).updateSecretVersionStage,
	"DescribeSecret":           (*Server).describeSecret,
	"ListSecrets":              (*Server).listSecrets,
	"ListSecretVersionIds":     (*Server).listSecretVersionIDs,
	"TagResource":              (*Server).tagResource,
	"UntagResource":            (*Server).untagResource,
	"DeleteSecret":             (*Server).deleteSecret,
	"RestoreSecret":            (*Server).restoreSecret,
}

// What AWS takes (API Reference, CreateSecret and TagResource).
const (
	maxValue   = 65536
	maxTags    = 50
	maxTagName = 128
	maxTagText = 256
)

var names = regexp.MustCompile(`^[A-Za-z0-9/_+=.@-]{1,512}$`)

type tag struct{ Key, Value string }

// write is what CreateSecret and PutSecretValue ask for.
type write struct {
	Name, SecretID, ClientRequestToken string
	SecretString                       *string
	SecretBinary                       *string
	VersionStages                      []string
	Tags                               []tag
}

// content checks a value; there is none where ok is false.
func (in write) content() (value content, ok bool, f *failure) {
	if len(in.ClientRequestToken) < 32 || len(in.ClientRequestToken) > 64 {
		return content{}, false, fail("InvalidParameterException", "The ClientRequestToken must have 32 to 64 characters.")
	}
	switch {
	case in.SecretString != nil && in.SecretBinary != nil:
		return content{}, false, fail("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case in.SecretString != nil:
		if n := len(*in.SecretString); n == 0 || n > maxValue {
			return content{}, false, awsjson.Validation("secretString", fmt.Sprintf("Member must have length between 1 and %d", maxValue))
		}
		return content{text: *in.SecretString}, true, nil
	case in.SecretBinary != nil:
		raw, err := base64.StdEncoding.DecodeString(*in.SecretBinary)
		if err != nil || len(raw) == 0 || len(raw) > maxValue {
			return content{}, false, awsjson.Validation("secretBinary", fmt.Sprintf("Member must have length between 1 and %d", maxValue))
		}
		return content{binary: *in.SecretBinary}, true, nil
	}
	return content{}, false, nil
}

func (s *Server) createSecret(body []byte) (any, *failure) {
	in, f := awsjson.Request[write](body)
	if f != nil {
		return nil, f
	}
	if !names.MatchString(in.Name) {
		return nil, fail("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	value, there, f := in.content()
	if f != nil {
		return nil, f
	}
	if f := checkTags(in.Tags, nil); f != nil {
		return nil, f
	}
	if old := s.secrets[in.Name]; old != nil {
		same := old.find(in.ClientRequestToken)
		switch {
		case !old.deleted.IsZero():
			return nil, fail("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
		case same != nil && same.content == value: // the same call once more
			return map[string]any{"ARN": old.arn, "Name": old.name, "VersionId": same.id}, nil
		}
		return nil, fail("ResourceExistsException", "The operation failed because the secret "+in.Name+" already exists.")
	}
	if s.locked {
		return nil, keyDenied()
	}
	one := s.add(in.Name)
	for _, t := range in.Tags {
		one.tags[t.Key] = t.Value
	}
	out := map[string]any{"ARN": one.arn, "Name": one.name}
	if there {
		one.put(in.ClientRequestToken, value, []string{current})
		out["VersionId"] = in.ClientRequestToken
	}
	return out, nil
}

func (s *Server) putSecretValue(body []byte) (any, *failure) {
	in, f := awsjson.Request[write](body)
	if f != nil {
		return nil, f
	}
	one, f := s.usable(in.SecretID, true)
	if f != nil {
		return nil, f
	}
	value, there, f := in.content()
	if f != nil {
		return nil, f
	}
	if !there {
		return nil, fail("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
	}
	answer := func(id string) map[string]any {
		return map[string]any{"ARN": one.arn, "Name": one.name, "VersionId": id, "VersionStages": one.stages()[id]}
	}
	if same := one.find(in.ClientRequestToken); same != nil {
		if same.content != value {
			return nil, fail("ResourceExistsException", "A resource with the ID you requested already exists.")
		}
		return answer(same.id), nil
	}
	if s.locked {
		return nil, keyDenied()
	}
	labels := in.VersionStages
	if len(labels) == 0 {
		labels = []string{current}
	}
	if f := one.room(labels); f != nil {
		return nil, f
	}
	one.put(in.ClientRequestToken, value, labels)
	return answer(in.ClientRequestToken), nil
}

// room refuses labels beyond what a secret may have.
func (one *secret) room(labels []string) *failure {
	all := maps.Clone(one.labels)
	for _, label := range labels {
		all[label] = ""
	}
	if len(all) > maxLabels {
		return fail("LimitExceededException", "You've exceeded the maximum number of staging labels for the secret.")
	}
	return nil
}

func (s *Server) getSecretValue(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct{ SecretID, VersionID, VersionStage string }](body)
	if f != nil {
		return nil, f
	}
	one, f := s.usable(in.SecretID, false)
	if f != nil {
		return nil, f
	}
	id := in.VersionID
	if id == "" {
		label := in.VersionStage
		if label == "" {
			label = current
		}
		if id = one.labels[label]; id == "" {
			return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "+label)
		}
	}
	v := one.find(id)
	if v == nil {
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: "+id)
	}
	if s.locked {
		return nil, keyDenied()
	}
	one.accessed = time.Now().UTC().Truncate(24 * time.Hour)
	out := map[string]any{"ARN": one.arn, "Name": one.name, "CreatedDate": awsjson.Epoch(v.created), "VersionId": id, "VersionStages": one.stages()[id]}
	if v.content.binary != "" {
		out["SecretBinary"] = v.content.binary
	} else {
		out["SecretString"] = v.content.text
	}
	return out, nil
}

// updateSecretVersionStage is where compare-and-set comes from: a label that another
// version has moves only if the caller names that version.
func (s *Server) updateSecretVersionStage(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct{ SecretID, VersionStage, RemoveFromVersionID, MoveToVersionID string }](body)
	if f != nil {
		return nil, f
	}
	one, f := s.usable(in.SecretID, true)
	if f != nil {
		return nil, f
	}
	has := one.labels[in.VersionStage]
	switch {
	case in.VersionStage == "" || in.RemoveFromVersionID == "" && in.MoveToVersionID == "":
		return nil, fail("InvalidParameterException", "You must specify a staging label, and a version to move it to or to remove it from.")
	case in.MoveToVersionID != "" && one.find(in.MoveToVersionID) == nil:
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
	case in.MoveToVersionID == "" && in.VersionStage == current:
		return nil, fail("InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.")
	case in.RemoveFromVersionID == "" && has != "" && has != in.MoveToVersionID:
		return nil, fail("InvalidParameterException", "The parameter RemoveFromVersionId can't be empty. Staging label "+in.VersionStage+" is currently attached to version "+has+", so you must explicitly reference that version in RemoveFromVersionId.")
	case in.RemoveFromVersionID != "" && has != in.RemoveFromVersionID:
		return nil, fail("InvalidParameterException", "When you move staging label "+in.VersionStage+", if you specify RemoveFromVersionId, it must be set to the version that currently has the staging label "+in.VersionStage+".")
	}
	one.changed = time.Now()
	if in.MoveToVersionID == "" {
		delete(one.labels, in.VersionStage)
		one.prune()
	} else {
		if f := one.room([]string{in.VersionStage}); f != nil {
			return nil, f
		}
		one.move(in.VersionStage, in.MoveToVersionID)
	}
	return map[string]any{"ARN": one.arn, "Name": one.name}, nil
}

func (s *Server) describeSecret(body []byte) (any, *failure) {
	one, f := s.named(body)
	if f != nil {
		return nil, f
	}
	out := one.describe()
	if stages := one.stages(); len(stages) > 0 {
		out["VersionIdsToStages"] = stages
	}
	return out, nil
}

func (s *Server) listSecrets(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct {
		MaxResults             *int
		NextToken              string
		IncludePlannedDeletion bool
	}](body)
	if f != nil {
		return nil, f
	}
	size := 100
	if in.MaxResults != nil {
		if size = *in.MaxResults; size < 1 || size > 100 {
			return nil, awsjson.Validation("maxResults", "Member must have value between 1 and 100")
		}
	}
	after := 0
	if in.NextToken != "" {
		raw, err := base64.StdEncoding.DecodeString(in.NextToken)
		var list int
		if n, scanErr := fmt.Sscanf(string(raw), "list %d after %d", &list, &after); err != nil || scanErr != nil || n != 2 || list != s.lists {
			return nil, fail("InvalidNextTokenException", "The NextToken value is invalid.")
		}
	}
	if s.order == nil {
		s.order = slices.SortedFunc(maps.Values(s.secrets), func(a, b *secret) int { return a.number - b.number })
	}
	first, _ := slices.BinarySearchFunc(s.order, after+1, func(one *secret, number int) int { return one.number - number })
	found, out := []map[string]any{}, map[string]any{}
	for _, one := range s.order[first:] {
		if !in.IncludePlannedDeletion && !one.deleted.IsZero() {
			continue
		}
		if len(found) == size {
			out["NextToken"] = base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "list %d after %d", s.lists, after))
			break
		}
		entry := one.describe()
		if stages := one.stages(); len(stages) > 0 {
			entry["SecretVersionsToStages"] = stages
		}
		found, after = append(found, entry), one.number
	}
	out["SecretList"] = found
	return out, nil
}

func (s *Server) listSecretVersionIDs(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct{ IncludeDeprecated bool }](body)
	if f != nil {
		return nil, f
	}
	one, f := s.named(body)
	if f != nil {
		return nil, f
	}
	stages, found := one.stages(), []map[string]any{}
	for _, v := range one.versions {
		entry := map[string]any{"VersionId": v.id, "CreatedDate": awsjson.Epoch(v.created)}
		if stages[v.id] != nil {
			entry["VersionStages"] = stages[v.id]
		}
		if stages[v.id] != nil || in.IncludeDeprecated {
			found = append(found, entry)
		}
	}
	return map[string]any{"ARN": one.arn, "Name": one.name, "Versions": found}, nil
}

func (s *Server) tagResource(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct {
		SecretID string
		Tags     []tag
	}](body)
	if f != nil {
		return nil, f
	}
	one, f := s.usable(in.SecretID, true)
	if f != nil {
		return nil, f
	}
	if f := checkTags(in.Tags, one.tags); f != nil {
		return nil, f
	}
	for _, t := range in.Tags {
		one.tags[t.Key] = t.Value
	}
	one.changed = time.Now()
	return nil, nil
}

func (s *Server) untagResource(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct {
		SecretID string
		TagKeys  []string
	}](body)
	if f != nil {
		return nil, f
	}
	one, f := s.usable(in.SecretID, true)
	if f != nil {
		return nil, f
	}
	for _, key := range in.TagKeys {
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, fail("InvalidParameterException", "Tag keys that begin with aws: are reserved.")
		}
		delete(one.tags, key)
	}
	one.changed = time.Now()
	return nil, nil
}

// checkTags refuses what AWS does not take beside tags that are there.
func checkTags(tags []tag, there map[string]string) *failure {
	all := map[string]string{}
	for key, value := range there {
		if !strings.HasPrefix(key, "aws:") {
			all[key] = value
		}
	}
	for _, t := range tags {
		n := len([]rune(t.Key))
		if n < 1 || n > maxTagName || len([]rune(t.Value)) > maxTagText || strings.HasPrefix(strings.ToLower(t.Key), "aws:") {
			return fail("InvalidParameterException", "A tag is not valid.")
		}
		all[t.Key] = t.Value
	}
	if len(all) > maxTags {
		return fail("InvalidParameterException", "You've exceeded the maximum number of tags for the secret.")
	}
	return nil
}

func (s *Server) deleteSecret(body []byte) (any, *failure) {
	in, f := awsjson.Request[struct {
		RecoveryWindowInDays       *int
		ForceDeleteWithoutRecovery bool
	}](body)
	if f != nil {
		return nil, f
	}
	one, f := s.named(body)
	if f != nil {
		return nil, f
	}
	days := 30
	switch {
	case in.RecoveryWindowInDays != nil && (in.ForceDeleteWithoutRecovery || *in.RecoveryWindowInDays < 7 || *in.RecoveryWindowInDays > 30):
		return nil, fail("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	case in.RecoveryWindowInDays != nil:
		days = *in.RecoveryWindowInDays
	case in.ForceDeleteWithoutRecovery:
		days = 0
	}
	now := time.Now()
	if f := one.usable(true); f != nil {
		return nil, f
	}
	one.deleted, one.changed = now, now
	return map[string]any{"ARN": one.arn, "Name": one.name, "DeletionDate": awsjson.Epoch(now.AddDate(0, 0, days))}, nil
}

func (s *Server) restoreSecret(body []byte) (any, *failure) {
	one, f := s.named(body)
	if f != nil {
		return nil, f
	}
	one.deleted, one.changed = time.Time{}, time.Now()
	return map[string]any{"ARN": one.arn, "Name": one.name}, nil
}

// named finds the secret that a request names, also one that was deleted.
func (s *Server) named(body []byte) (*secret, *failure) {
	in, f := awsjson.Request[struct{ SecretID string }](body)
	if f != nil {
		return nil, f
	}
	return s.find(in.SecretID)
}

func (s *Server) usable(name string, write bool) (*secret, *failure) {
	one, f := s.find(name)
	if f != nil {
		return nil, f
	}
	return one, one.usable(write)
}

// find takes a name or a whole ARN.
func (s *Server) find(name string) (*secret, *failure) {
	if name == "" {
		return nil, awsjson.Validation("secretId", "Member must not be null")
	}
	for _, one := range s.secrets {
		if one.name == name || one.arn == name {
			return one, nil
		}
	}
	return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
}

func keyDenied() *failure { return fail("AccessDeniedException", "Access to KMS is not allowed") }
