package siem

import (
	"bytes"
	"encoding/json"
	"strings"

	"secretsbridge/events"
)

// ocsfVersion is the schema that records follow. What it has no attribute for is in unmapped.
const ocsfVersion = "1.6.0"

// Outcomes of OCSF.
const (
	statusSuccess, statusFailure = 1, 2
	actionDenied                 = 2
	dispositionBlocked           = 2
)

// unknown stands where a class needs an attribute that facts do not have: addresses are in no fact.
const unknown = "unknown"

type (
	ocsfEvent struct {
		ActivityID   int          `json:"activity_id"`
		ActivityName string       `json:"activity_name,omitempty"`
		CategoryUID  int          `json:"category_uid"`
		ClassUID     int          `json:"class_uid"`
		TypeUID      int          `json:"type_uid"`
		SeverityID   int          `json:"severity_id"`
		Time         int64        `json:"time"` // milliseconds since 1970, UTC
		Message      string       `json:"message"`
		StatusID     int          `json:"status_id"`
		StatusCode   string       `json:"status_code,omitempty"`
		ActionID     int          `json:"action_id,omitempty"`
		Disposition  int          `json:"disposition_id,omitempty"`
		Metadata     ocsfMetadata `json:"metadata"`
		Actor        ocsfActor    `json:"actor"`
		User         *ocsfUser    `json:"user,omitempty"`
		Session      *ocsfEntity  `json:"session,omitempty"`
		Service      *ocsfEntity  `json:"service,omitempty"`
		Privileges   []string     `json:"privileges,omitempty"`
		Entity       *ocsfEntity  `json:"entity,omitempty"`
		API          *ocsfAPI     `json:"api,omitempty"`
		SrcEndpoint  *ocsfEntity  `json:"src_endpoint,omitempty"`
		Resources    []ocsfEntity `json:"resources,omitempty"`
		Unmapped     ocsfUnmapped `json:"unmapped"`
	}
	ocsfMetadata struct {
		Version      string   `json:"version"`
		Profiles     []string `json:"profiles,omitempty"`
		Product      product  `json:"product"`
		UID          string   `json:"uid"`
		EventCode    string   `json:"event_code"`
		Sequence     uint64   `json:"sequence"`
		Correlation  string   `json:"correlation_uid,omitempty"`
		LogName      string   `json:"log_name"`
		LogVersion   string   `json:"log_version"` // of these words
		OriginalTime string   `json:"original_time"`
		IsTruncated  bool     `json:"is_truncated,omitempty"`
	}
	product struct {
		Name   string `json:"name"`
		Vendor string `json:"vendor_name"`
	}
	ocsfActor struct {
		User    *ocsfUser   `json:"user,omitempty"`
		Session *ocsfEntity `json:"session,omitempty"`
		AppName string      `json:"app_name,omitempty"`
		AppUID  string      `json:"app_uid,omitempty"`
	}
	ocsfUser struct {
		UID    string `json:"uid,omitempty"`
		Name   string `json:"name,omitempty"`
		TypeID *int   `json:"type_id,omitempty"`
	}
	ocsfEntity struct {
		UID  string `json:"uid,omitempty"`
		Name string `json:"name,omitempty"`
		Type string `json:"type,omitempty"`
	}
	ocsfAPI struct {
		Operation string     `json:"operation"`
		Service   ocsfEntity `json:"service"`
	}
	ocsfUnmapped struct {
		Place     int             `json:"place"`
		LeafHash  string          `json:"leaf_hash"`
		Stream    string          `json:"stream"`
		Command   string          `json:"command"`
		DataBytes int             `json:"data_bytes"`
		Data      json.RawMessage `json:"data,omitempty"`
	}
)

// ocsf is a record of OCSF.
func ocsf(r Record, short bool) ([]byte, error) {
	t := tell(r)
	service := ocsfEntity{Name: Product}
	e := ocsfEvent{
		ActivityID: t.activity, CategoryUID: t.class / 1000, ClassUID: t.class, TypeUID: 100*t.class + t.activity, SeverityID: t.severity,
		Time: r.Time.UnixMilli(), Message: t.sentence, StatusID: statusSuccess, StatusCode: cut(t.code, maxID),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: product{Product, Product}, UID: cut(string(r.ID), maxID), EventCode: cut(r.Type, maxID), Sequence: uint64(r.Seq),
			Correlation: cut(string(r.Correlation), maxID), LogName: "EVENTS", LogVersion: mapping, OriginalTime: r.Time.Format("2006-01-02T15:04:05.999999999Z07:00"),
			IsTruncated: short,
		},
		Actor: actorOf(r.Actor),
		Unmapped: ocsfUnmapped{
			Place: r.Place, LeafHash: r.Hash(), Stream: cut(r.Stream, maxID), Command: cut(string(r.Command), maxID), DataBytes: len(r.Data),
		},
	}
	if t.activity == activityOther {
		e.ActivityName = cut(t.operation, maxID)
	}
	if t.failed {
		e.StatusID = statusFailure
	}
	if r.Denied() {
		e.Metadata.Profiles = []string{"security_control"}
		e.ActionID, e.Disposition = actionDenied, dispositionBlocked
	}
	aggregate, id, _ := strings.Cut(cut(r.Stream, maxID), "/")
	switch t.class {
	case authentication:
		e.User, e.Service = userOf(t.user), &service
		if t.session != "" {
			e.Session = &ocsfEntity{UID: cut(string(t.session), maxID)}
		}
	case accountChange:
		e.User = userOf(t.user)
	case userAccess:
		e.User, e.Privileges = userOf(t.user), []string{cut(t.role, maxID)}
	case entityManagement:
		e.Entity = &ocsfEntity{UID: id, Type: aggregate}
	case apiActivity:
		e.API = &ocsfAPI{Operation: cut(t.operation, maxID), Service: service}
		e.SrcEndpoint = sourceOf(r.Actor)
		e.Resources = []ocsfEntity{{UID: id, Type: aggregate}}
		if t.resource != "" {
			e.Resources = []ocsfEntity{{Name: cut(t.resource, maxID)}}
		}
	}
	if !short {
		e.Unmapped.Data = r.Data
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), nil
}

// actorOf is who caused a fact.
func actorOf(a events.Actor) ocsfActor {
	kind, id, _ := strings.Cut(cut(string(a), maxID), ":")
	switch kind {
	case "user":
		return ocsfActor{User: userOf(events.UserID(id))}
	case "agent":
		return ocsfActor{AppName: "sb-agent", AppUID: id}
	case "system":
		return ocsfActor{AppName: "sb-server", AppUID: id}
	}
	return ocsfActor{User: userOf("")}
}

// userOf names somebody by the opaque id; nobody is known where there is none.
func userOf(id events.UserID) *ocsfUser {
	if id == "" {
		none := 0
		return &ocsfUser{Name: unknown, TypeID: &none}
	}
	return &ocsfUser{UID: cut(string(id), maxID)}
}

// sourceOf is where a call came from, as far as facts say.
func sourceOf(a events.Actor) *ocsfEntity {
	kind, id, _ := strings.Cut(cut(string(a), maxID), ":")
	if kind == "agent" || kind == "system" {
		return &ocsfEntity{UID: id, Name: kind}
	}
	return &ocsfEntity{Name: unknown}
}
