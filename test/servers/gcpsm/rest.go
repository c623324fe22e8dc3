package gcpsm

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Fault is one way to misbehave, for the calls of Secret Manager only.
type Fault string

// The faults. Their names are those of the conformance suite.
const (
	None      Fault = ""
	Throttled Fault = "throttled"
	Forbidden Fault = "forbidden"
	Failing   Fault = "failing"
	Reset     Fault = "reset"
	Garbage   Fault = "garbage"
	Lost      Fault = "lost"
	Unsigned  Fault = "unauthorised"
)

// route is a call of REST, as the google.api.http annotations of the service bind it.
type route struct {
	method string // of the service
	call   func(context.Context) (proto.Message, error)
}

// serveAPI transcodes by hand what the product calls.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	switch s.Meet(r.Method, func(f Fault) bool { return f != Lost || r.Method != http.MethodGet }) { // only a change can be lost
	case Throttled:
		w.Header().Set("Retry-After", "0")
		fail(w, status.Error(codes.ResourceExhausted, "Quota exceeded for quota metric 'Read requests'."+s.Words()), "RATE_LIMIT_EXCEEDED")
		return
	case Forbidden:
		fail(w, status.Error(codes.PermissionDenied, "Permission denied for resource "+r.URL.Path+" (or it may not exist)."+s.Words()), "IAM_PERMISSION_DENIED")
		return
	case Failing:
		fail(w, status.Error(codes.Internal, "Internal error encountered."+s.Words()), "")
		return
	case Unsigned:
		fail(w, status.Error(codes.Unauthenticated, "Request had invalid authentication credentials."+s.Words()), "ACCESS_TOKEN_EXPIRED")
		return
	case Garbage:
		_, _ = w.Write([]byte("<html>" + s.Words() + string(body)))
		return
	case Reset:
		panic(http.ErrAbortHandler)
	case Lost:
		if found := s.route(r, body); found.call != nil {
			_, _ = found.call(r.Context())
		}
		panic(http.ErrAbortHandler)
	}
	if !s.tokens.alive(r) {
		fail(w, status.Error(codes.Unauthenticated, "Request had invalid authentication credentials."), "ACCESS_TOKEN_TYPE_UNSUPPORTED")
		return
	}
	found := s.route(r, body)
	if found.call == nil {
		w.WriteHeader(http.StatusNotFound) // Google's front end answers a page
		_, _ = w.Write([]byte("<!DOCTYPE html>"))
		return
	}
	s.mu.Lock()
	denied := s.denied[found.method]
	s.mu.Unlock()
	if denied {
		fail(w, status.Errorf(codes.PermissionDenied, "Permission denied for resource %s (or it may not exist).", r.URL.Path), "IAM_PERMISSION_DENIED")
		return
	}
	out, err := found.call(r.Context())
	if err != nil {
		fail(w, err, "")
		return
	}
	raw, err := protojson.MarshalOptions{UseEnumNumbers: strings.Contains(r.URL.Query().Get("$alt"), "enum-encoding=int")}.Marshal(out)
	if err != nil {
		fail(w, status.Error(codes.Internal, err.Error()), "")
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, _ = w.Write(raw)
}

// route finds what a request asks for; its call is nil if it is nothing.
func (s *Server) route(r *http.Request, body []byte) route {
	name := strings.TrimPrefix(r.URL.Path, "/v1/")
	name, verb, _ := strings.Cut(name, ":")
	query := r.URL.Query()
	parts := strings.Split(name, "/")
	if len(parts) > 3 && parts[2] == "locations" {
		parts = append(parts[:2:2], parts[4:]...)
	}
	collection := strings.TrimSuffix(name, "/secrets")
	switch shape := r.Method + " " + strconv.Itoa(len(parts)) + " " + verb; shape {
	case "GET 3 ":
		size, _ := strconv.Atoi(query.Get("pageSize"))
		req := &secretmanagerpb.ListSecretsRequest{Parent: collection, PageSize: int32(size), PageToken: query.Get("pageToken"), Filter: query.Get("filter")}
		return route{"ListSecrets", func(ctx context.Context) (proto.Message, error) { return s.ListSecrets(ctx, req) }}
	case "POST 3 ":
		req := &secretmanagerpb.CreateSecretRequest{Parent: collection, SecretId: query.Get("secretId"), Secret: &secretmanagerpb.Secret{}}
		return route{"CreateSecret", decoded(body, req.Secret, func(ctx context.Context) (proto.Message, error) { return s.CreateSecret(ctx, req) })}
	case "GET 4 ":
		req := &secretmanagerpb.GetSecretRequest{Name: name}
		return route{"GetSecret", func(ctx context.Context) (proto.Message, error) { return s.GetSecret(ctx, req) }}
	case "PATCH 4 ":
		req := &secretmanagerpb.UpdateSecretRequest{Secret: &secretmanagerpb.Secret{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: strings.Split(query.Get("updateMask"), ",")}}
		return route{"UpdateSecret", decoded(body, req.Secret, func(ctx context.Context) (proto.Message, error) {
			req.Secret.Name = name
			return s.UpdateSecret(ctx, req)
		})}
	case "DELETE 4 ":
		req := &secretmanagerpb.DeleteSecretRequest{Name: name, Etag: query.Get("etag")}
		return route{"DeleteSecret", func(ctx context.Context) (proto.Message, error) { return s.DeleteSecret(ctx, req) }}
	case "POST 4 addVersion":
		req := &secretmanagerpb.AddSecretVersionRequest{}
		return route{"AddSecretVersion", decoded(body, req, func(ctx context.Context) (proto.Message, error) {
			req.Parent = name
			return s.AddSecretVersion(ctx, req)
		})}
	case "GET 6 ":
		req := &secretmanagerpb.GetSecretVersionRequest{Name: name}
		return route{"GetSecretVersion", func(ctx context.Context) (proto.Message, error) { return s.GetSecretVersion(ctx, req) }}
	case "GET 6 access":
		req := &secretmanagerpb.AccessSecretVersionRequest{Name: name}
		return route{"AccessSecretVersion", func(ctx context.Context) (proto.Message, error) { return s.AccessSecretVersion(ctx, req) }}
	}
	return route{}
}

func decoded(body []byte, into proto.Message, call func(context.Context) (proto.Message, error)) func(context.Context) (proto.Message, error) {
	return func(ctx context.Context) (proto.Message, error) {
		if err := protojson.Unmarshal(body, into); err != nil {
			return nil, status.Error(codes.InvalidArgument, "Invalid JSON payload received.")
		}
		return call(ctx)
	}
}

// statuses are how canonical codes go over HTTP (google/rpc/code.proto).
var statuses = map[codes.Code]struct {
	status int
	name   string
}{
	codes.InvalidArgument: {400, "INVALID_ARGUMENT"}, codes.FailedPrecondition: {400, "FAILED_PRECONDITION"},
	codes.Unauthenticated: {401, "UNAUTHENTICATED"}, codes.PermissionDenied: {403, "PERMISSION_DENIED"},
	codes.NotFound: {404, "NOT_FOUND"}, codes.AlreadyExists: {409, "ALREADY_EXISTS"},
	codes.ResourceExhausted: {429, "RESOURCE_EXHAUSTED"}, codes.Internal: {500, "INTERNAL"},
	codes.Unimplemented: {501, "UNIMPLEMENTED"}, codes.Unavailable: {503, "UNAVAILABLE"},
}

// fail answers with a google.rpc.Status; reason is that of its ErrorInfo.
func fail(w http.ResponseWriter, err error, reason string) {
	as, ok := statuses[status.Code(err)]
	if !ok {
		as = statuses[codes.Internal]
	}
	said := map[string]any{"code": as.status, "message": status.Convert(err).Message(), "status": as.name}
	if reason != "" {
		said["details"] = []any{map[string]any{
			"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
			"metadata": map[string]string{"service": "secretmanager.googleapis.com"},
		}}
	}
	raw, _ := json.MarshalIndent(map[string]any{"error": said}, "", "  ")
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(as.status)
	_, _ = w.Write(raw)
}
