package azurekv

import (
	"maps"
	"net/http"
	"strings"
)

// Set stores a version and returns its id.
func (s *Server) Set(name string, in Secret) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, v, f := s.store(name, in)
	if f != nil {
		panic(f.message)
	}
	return v.id
}

// SetValue is [Server.Set] of a value alone.
func (s *Server) SetValue(name, value string) string { return s.Set(name, Secret{Value: &value}) }

// SetManaged stores what belongs to a certificate.
func (s *Server) SetManaged(name, value string) {
	s.SetValue(name, value)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[strings.ToUpper(name)].managed = true
}

// Enable switches the newest version, or the one that is named.
func (s *Server) Enable(name, id string, enabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, v, f := s.find(name, id)
	if f != nil {
		panic(f.message)
	}
	v.attributes.Enabled = &enabled
}

// Delete moves a secret to the deleted ones.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, f := s.remove(name, nil, nil); f != nil {
		panic(f.message)
	}
}

// Version is one state of a secret, for tests to look at.
type Version struct {
	ID string
	Secret
}

// Versions are those of a secret, the oldest first; none if it is not there.
func (s *Server) Versions(name string) []Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.secrets[strings.ToUpper(name)]
	if of == nil {
		return nil
	}
	var out []Version
	for _, v := range of.versions {
		value, attributes := strings.Clone(v.value), v.attributes
		out = append(out, Version{v.id, Secret{Value: &value, ContentType: v.contentType, Attributes: &attributes, Tags: maps.Clone(v.tags)}})
	}
	return out
}

// Clear takes everything out.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.secrets)
	clear(s.deleted)
}

// Authorise makes a request one of somebody who has signed in.
func (s *Server) Authorise(r *http.Request) {
	r.Header.Set("Authorization", "Bearer "+s.signIn.issue(tokenLife))
}
