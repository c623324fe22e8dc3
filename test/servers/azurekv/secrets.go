package azurekv

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Azure's own limits: Microsoft's "About Azure Key Vault secrets", and the REST reference.
const (
	maxValue    = 25600
	maxTags     = 15
	maxTagText  = 256
	maxPageSize = 25

	recoverableDays = 7
)

var validName = regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)

// secret is all versions of a name, the oldest first.
type secret struct {
	name     string
	managed  bool
	versions []*version

	deletedAt int64 // while it is among the deleted
	moved     bool  // it was deleted or recovered, and does not show while that is held
}

type version struct {
	id          string
	value       string
	contentType *string
	attributes  Attributes
	tags        map[string]string
	shown       int // the list of versions that shows it first
}

// Attributes are those of a version, in seconds since 1970.
type Attributes struct {
	Enabled         *bool  `json:"enabled,omitempty"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created,omitempty"`
	Updated         int64  `json:"updated,omitempty"`
	RecoveryLevel   string `json:"recoveryLevel,omitempty"`
	RecoverableDays int    `json:"recoverableDays,omitempty"`
}

// Secret is what somebody sets.
type Secret struct {
	Value       *string           `json:"value"`
	ContentType *string           `json:"contentType"`
	Attributes  *Attributes       `json:"attributes"`
	Tags        map[string]string `json:"tags"`
}

type operation func(s *Server, name string, r *http.Request, body []byte) (any, *failure)

// route finds the operation by method and path, whose parts count without case.
func (s *Server) route(r *http.Request) (Call, operation) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	first, name, rest := parts[0], "", ""
	if len(parts) > 1 {
		name = parts[1]
	}
	if len(parts) > 2 {
		rest = parts[2]
	}
	type key struct{ method, path string }
	path := first
	switch {
	case name != "" && (rest == "versions" || rest == "backup" || rest == "recover"):
		path += "/name/" + rest
	case name == "restore" && r.Method == http.MethodPost:
		path += "/restore"
	case name != "":
		path += "/name"
	}
	found, ok := map[key]struct {
		op  string
		run operation
	}{
		{"GET", "secrets"}:                      {"list", (*Server).list},
		{"GET", "secrets/name"}:                 {"get", (*Server).get},
		{"PUT", "secrets/name"}:                 {"set", (*Server).set},
		{"PATCH", "secrets/name"}:               {"update", (*Server).update},
		{"DELETE", "secrets/name"}:              {"delete", (*Server).remove},
		{"GET", "secrets/name/versions"}:        {"versions", (*Server).listVersions},
		{"POST", "secrets/name/backup"}:         {"backup", (*Server).backup},
		{"POST", "secrets/restore"}:             {"restore", (*Server).restore},
		{"GET", "deletedsecrets"}:               {"list deleted", (*Server).listDeleted},
		{"GET", "deletedsecrets/name"}:          {"get deleted", (*Server).getDeleted},
		{"DELETE", "deletedsecrets/name"}:       {"purge", (*Server).purge},
		{"POST", "deletedsecrets/name/recover"}: {"recover", (*Server).recover},
	}[key{r.Method, path}]
	if !ok {
		return Call{}, nil
	}
	return Call{Op: found.op, Name: name}, found.run
}

func versionOf(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) < 3 {
		return ""
	}
	return parts[2]
}

// find returns a version; without an id the newest.
func (s *Server) find(name, id string) (*secret, *version, *failure) {
	if !validName.MatchString(name) {
		return nil, nil, fail(http.StatusBadRequest, "BadParameter", "The request URI contains an invalid name: "+name, "")
	}
	found := s.secrets[strings.ToUpper(name)]
	if found == nil || found.moved && s.held {
		return nil, nil, fail(http.StatusNotFound, "SecretNotFound", "A secret with (name/id) "+name+" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182", "")
	}
	if id == "" {
		return found, found.versions[len(found.versions)-1], nil
	}
	for _, v := range found.versions {
		if strings.EqualFold(v.id, id) {
			return found, v, nil
		}
	}
	return nil, nil, fail(http.StatusNotFound, "SecretNotFound", "A secret with (name/id) "+name+"/"+id+" was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182", "")
}

// bundle is a version as it is shown: with its id, or without, as lists do.
func (s *Server) bundle(of *secret, v *version, value, versioned bool) map[string]any {
	out := map[string]any{"id": s.URL + "/secrets/" + of.name, "attributes": v.attributes}
	if versioned {
		out["id"] = s.URL + "/secrets/" + of.name + "/" + v.id
	}
	if value {
		out["value"] = v.value
	}
	if v.contentType != nil {
		out["contentType"] = *v.contentType
	}
	if len(v.tags) > 0 {
		out["tags"] = v.tags
	}
	if of.managed {
		out["managed"] = true
	}
	return out
}

func (s *Server) get(name string, r *http.Request, _ []byte) (any, *failure) {
	id := versionOf(r)
	if id == "" && s.stales > 0 {
		s.stales--
		id = s.stale
	}
	of, v, f := s.find(name, id)
	if f != nil {
		return nil, f
	}
	if !*v.attributes.Enabled {
		return nil, fail(http.StatusForbidden, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
	}
	return s.bundle(of, v, true, true), nil
}

func (s *Server) set(name string, _ *http.Request, body []byte) (any, *failure) {
	var in Secret
	if err := json.Unmarshal(body, &in); err != nil || in.Value == nil {
		return nil, fail(http.StatusBadRequest, "BadParameter", "Property  has invalid value", "")
	}
	of, v, f := s.store(name, in)
	if f != nil {
		return nil, f
	}
	return s.bundle(of, v, true, true), nil
}

func (s *Server) store(name string, in Secret) (*secret, *version, *failure) {
	switch {
	case !validName.MatchString(name):
		return nil, nil, fail(http.StatusBadRequest, "BadParameter", "The request URI contains an invalid name: "+name, "")
	case len(*in.Value) > maxValue:
		return nil, nil, fail(http.StatusBadRequest, "BadParameter", "The secret value is larger than is allowed.", "")
	case len(in.Tags) > maxTags:
		return nil, nil, fail(http.StatusBadRequest, "BadParameter", "There are too many tags.", "")
	}
	for tag, text := range in.Tags {
		if len(tag) > maxTagText || len(text) > maxTagText {
			return nil, nil, fail(http.StatusBadRequest, "BadParameter", "A tag is too long.", "")
		}
	}
	key := strings.ToUpper(name)
	if gone := s.deleted[key]; gone != nil {
		if gone.moved && s.held {
			return nil, nil, fail(http.StatusConflict, "Conflict", "Secret "+name+" is currently being deleted.", "ObjectIsBeingDeleted")
		}
		return nil, nil, fail(http.StatusConflict, "Conflict", "Secret "+name+" is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged.", "ObjectIsDeletedButRecoverable")
	}
	of := s.secrets[key]
	switch {
	case of == nil:
		of = &secret{name: name}
		s.secrets[key] = of
	case of.moved && s.held:
		return nil, nil, fail(http.StatusConflict, "Conflict", "Secret "+name+" is currently being recovered and cannot be re-created; retry later.", "ObjectIsBeingRecovered")
	case of.managed:
		return nil, nil, fail(http.StatusBadRequest, "BadParameter", "The secret is managed.", "")
	}
	at := s.now().Unix()
	v := &version{id: s.nextID(), value: *in.Value, contentType: in.ContentType, tags: maps.Clone(in.Tags), attributes: Attributes{
		Created: at, Updated: at, RecoveryLevel: "CustomizedRecoverable+Purgeable", RecoverableDays: recoverableDays,
	}}
	enabled := true
	v.attributes.Enabled = &enabled
	v.attributes.take(in.Attributes)
	v.shown = s.lists + s.Lag + 1
	of.versions = append(of.versions, v)
	return of, v, nil
}

func (s *Server) nextID() string {
	if len(s.ids) == 0 {
		return newID()
	}
	id := s.ids[0]
	s.ids = s.ids[1:]
	return id
}

func (a *Attributes) take(in *Attributes) {
	if in == nil {
		return
	}
	if in.Enabled != nil {
		a.Enabled = in.Enabled
	}
	if in.NotBefore != nil {
		a.NotBefore = in.NotBefore
	}
	if in.Expires != nil {
		a.Expires = in.Expires
	}
}

func (s *Server) update(name string, r *http.Request, body []byte) (any, *failure) {
	of, v, f := s.find(name, versionOf(r))
	if f != nil {
		return nil, f
	}
	var in Secret
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fail(http.StatusBadRequest, "BadParameter", "Property  has invalid value", "")
	}
	v.attributes.take(in.Attributes)
	if in.ContentType != nil {
		v.contentType = in.ContentType
	}
	if in.Tags != nil {
		v.tags = in.Tags
	}
	v.attributes.Updated = s.now().Unix()
	return s.bundle(of, v, false, true), nil
}

func (s *Server) remove(name string, _ *http.Request, _ []byte) (any, *failure) {
	of, _, f := s.find(name, "")
	if f != nil {
		return nil, f
	}
	delete(s.secrets, strings.ToUpper(name))
	s.deleted[strings.ToUpper(name)] = of
	of.deletedAt, of.moved = s.now().Unix(), true
	return s.deletedBundle(of), nil
}

func (s *Server) deletedBundle(of *secret) map[string]any {
	out := s.bundle(of, of.versions[len(of.versions)-1], false, true)
	out["recoveryId"] = s.URL + "/deletedsecrets/" + of.name
	out["deletedDate"] = of.deletedAt
	out["scheduledPurgeDate"] = of.deletedAt + recoverableDays*24*60*60
	return out
}

func (s *Server) gone(name string) (*secret, *failure) {
	of := s.deleted[strings.ToUpper(name)]
	if of == nil || of.moved && s.held {
		return nil, fail(http.StatusNotFound, "SecretNotFound", "Deleted Secret not found: "+name, "")
	}
	return of, nil
}

func (s *Server) getDeleted(name string, _ *http.Request, _ []byte) (any, *failure) {
	of, f := s.gone(name)
	if f != nil {
		return nil, f
	}
	return s.deletedBundle(of), nil
}

func (s *Server) purge(name string, _ *http.Request, _ []byte) (any, *failure) {
	of, f := s.gone(name)
	if f != nil {
		return nil, f
	}
	delete(s.deleted, strings.ToUpper(of.name))
	return nil, nil
}

func (s *Server) recover(name string, _ *http.Request, _ []byte) (any, *failure) {
	of, f := s.gone(name)
	if f != nil {
		return nil, f
	}
	delete(s.deleted, strings.ToUpper(name))
	s.secrets[strings.ToUpper(name)] = of
	of.moved = true
	return s.bundle(of, of.versions[len(of.versions)-1], false, true), nil
}

// kept is what a backup holds; Azure's own is encrypted.
type kept struct {
	Name     string
	Versions []Secret
	IDs      []string
}

func (s *Server) backup(name string, _ *http.Request, _ []byte) (any, *failure) {
	of, _, f := s.find(name, "")
	if f != nil {
		return nil, f
	}
	k := kept{Name: of.name}
	for _, v := range of.versions {
		k.Versions = append(k.Versions, Secret{Value: &v.value, ContentType: v.contentType, Attributes: &v.attributes, Tags: v.tags})
		k.IDs = append(k.IDs, v.id)
	}
	raw, err := json.Marshal(k)
	if err != nil {
		panic(err)
	}
	return map[string]any{"value": base64.RawURLEncoding.EncodeToString(raw)}, nil
}

func (s *Server) restore(_ string, _ *http.Request, body []byte) (any, *failure) {
	var in struct{ Value string }
	var k kept
	raw, err := []byte(nil), json.Unmarshal(body, &in)
	if err == nil {
		if raw, err = base64.RawURLEncoding.DecodeString(in.Value); err == nil {
			err = json.Unmarshal(raw, &k)
		}
	}
	if err != nil || len(k.Versions) == 0 {
		return nil, fail(http.StatusBadRequest, "BadParameter", "Backup blob is corrupted.", "")
	}
	if s.held || s.secrets[strings.ToUpper(k.Name)] != nil || s.deleted[strings.ToUpper(k.Name)] != nil {
		return nil, fail(http.StatusConflict, "Conflict", fmt.Sprintf("There was a conflict restoring the secret '%s/secrets/%s/%s'. This can happen if either: a second secret with the same name was created after the first secret was deleted; thus trying to restore a secret whose name is already in use. To fix this, rename the second secret to something else so that the restore works. The second probable cause of this exception is when multiple operations are performed in parallel against the secret. To avoid this error, perform operations against a secret in a sequential manner.", s.URL, k.Name, k.IDs[len(k.IDs)-1]), "")
	}
	of := &secret{name: k.Name}
	for i, v := range k.Versions {
		of.versions = append(of.versions, &version{id: k.IDs[i], value: *v.Value, contentType: v.ContentType, attributes: *v.Attributes, tags: v.Tags})
	}
	s.secrets[strings.ToUpper(k.Name)] = of
	return s.bundle(of, of.versions[len(of.versions)-1], false, true), nil
}

func (s *Server) list(_ string, r *http.Request, _ []byte) (any, *failure) {
	var items []item
	for key, of := range s.secrets {
		if !of.moved || !s.held {
			items = append(items, item{key, s.bundle(of, of.versions[len(of.versions)-1], false, false)})
		}
	}
	return s.page(r, items)
}

func (s *Server) listDeleted(_ string, r *http.Request, _ []byte) (any, *failure) {
	var items []item
	for key, of := range s.deleted {
		if !of.moved || !s.held {
			one := s.deletedBundle(of)
			one["id"] = s.URL + "/secrets/" + of.name
			items = append(items, item{key, one})
		}
	}
	return s.page(r, items)
}

// listVersions answers also for a name that is not there, with nothing.
func (s *Server) listVersions(name string, r *http.Request, _ []byte) (any, *failure) {
	var items []item
	s.lists++
	if of := s.secrets[strings.ToUpper(name)]; of != nil {
		for _, v := range of.versions {
			if v.shown > s.lists {
				continue
			}
			items = append(items, item{strings.ToUpper(v.id), s.bundle(of, v, false, true)})
		}
	}
	return s.page(r, items)
}

type item struct {
	key  string
	body map[string]any
}

// page answers the items that come from the token on, in the order of their keys.
func (s *Server) page(r *http.Request, items []item) (any, *failure) {
	slices.SortFunc(items, func(a, b item) int { return strings.Compare(a.key, b.key) })
	query := r.URL.Query()
	size := maxPageSize
	if s.PageSize > 0 {
		size = s.PageSize
	}
	if text := query.Get("maxresults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxPageSize {
			return nil, fail(http.StatusBadRequest, "BadParameter", "maxresults is out of range.", "")
		}
		size = min(n, size)
	}
	if token := query.Get("$skiptoken"); token != "" {
		var mark struct{ NextMarker *string }
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || json.Unmarshal(raw, &mark) != nil || mark.NextMarker == nil {
			return nil, fail(http.StatusBadRequest, "BadParameter", "The skiptoken is invalid.", "")
		}
		from, _ := slices.BinarySearchFunc(items, *mark.NextMarker, func(i item, key string) int { return strings.Compare(i.key, key) })
		items = items[from:]
	}
	s.pages++
	if s.EmptyPages && s.pages%2 == 1 {
		size = 0
	}
	more, after := len(items) > size, "\x7f" // behind all keys
	if len(s.plan) > 0 {
		size, s.plan = min(s.plan[0], len(items)), s.plan[1:]
		more = len(s.plan) > 0
	}
	if len(items) > size {
		after = items[size].key
	}
	values := []map[string]any{}
	for _, i := range items[:min(size, len(items))] {
		values = append(values, i.body)
	}
	out := map[string]any{"value": values, "nextLink": nil}
	if more {
		mark, err := json.Marshal(map[string]any{"NextMarker": after, "TargetLocation": s.pages})
		if err != nil {
			panic(err)
		}
		link := s.URL + r.URL.Path + "?api-version=" + url.QueryEscape(query.Get("api-version")) +
			"&$skiptoken=" + base64.RawURLEncoding.EncodeToString(mark) + "&maxresults=" + query.Get("maxresults")
		if s.NextLink != nil {
			link = s.NextLink(link)
		}
		out["nextLink"] = link
	}
	return out, nil
}
