package gcpsm

import (
	"context"
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// secret is one with its versions; the first has number 1.
type secret struct {
	about    *secretmanagerpb.Secret
	versions []*version // in the order of their numbers
}

type version struct {
	number int64
	about  *secretmanagerpb.SecretVersion
	data   []byte
}

var (
	secretID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)
	castang  = crc32.MakeTable(crc32.Castagnoli)
)

func sum(data []byte) *int64 { return proto.Int64(int64(crc32.Checksum(data, castang))) }

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

// now is the time of a change and the etag that follows from it, as Google writes it: the
// microseconds in hexadecimal, in quotes.
func (s *Server) now() (*timestamppb.Timestamp, string) {
	s.last = max(time.Now().UnixMicro(), s.last+1)
	return timestamppb.New(time.UnixMicro(s.last)), fmt.Sprintf(`"%x"`, s.last)
}

// canonical puts the project's number in the place of its id.
func (s *Server) canonical(name string) (string, error) {
	parts := strings.Split(name, "/")
	if len(parts) < 2 || parts[0] != "projects" {
		return "", invalid("Invalid resource field value in the request.")
	}
	if parts[1] != s.project && parts[1] != strconv.FormatInt(s.number, 10) {
		return "", status.Error(codes.PermissionDenied, "Permission denied on resource project "+parts[1]+".")
	}
	parts[1] = strconv.FormatInt(s.number, 10)
	return strings.Join(parts, "/"), nil
}

func (s *Server) find(name string) (*secret, string, error) {
	full, err := s.canonical(name)
	if err != nil {
		return nil, "", err
	}
	found, ok := s.secrets[full]
	if !ok {
		return nil, full, status.Errorf(codes.NotFound, "Secret [%s] not found.", full)
	}
	return found, full, nil
}

// findVersion resolves SECRET/versions/N and SECRET/versions/latest, which is the one added
// last whatever its state.
func (s *Server) findVersion(name string) (*version, error) {
	i := strings.LastIndex(name, "/versions/")
	if i < 0 {
		return nil, invalid("Invalid resource field value in the request.")
	}
	found, full, err := s.find(name[:i])
	which := name[i+len("/versions/"):]
	switch {
	case status.Code(err) == codes.NotFound, err == nil && len(found.versions) == 0:
		return nil, status.Errorf(codes.NotFound, "Secret [%s] not found or has no versions.", full)
	case err != nil:
		return nil, err
	case which == "latest":
		return found.versions[len(found.versions)-1], nil
	}
	for _, v := range found.versions {
		if strconv.FormatInt(v.number, 10) == which {
			return v, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "Secret Version [%s/versions/%s] not found.", full, which)
}

// CreateSecret implements Google's interface, as the methods below do.
func (s *Server) CreateSecret(_ context.Context, req *secretmanagerpb.CreateSecretRequest) (*secretmanagerpb.Secret, error) {
	s.enter("CreateSecret")
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, err := s.canonical(req.GetParent())
	if err != nil {
		return nil, err
	}
	regional := strings.Contains(parent, "/locations/")
	switch {
	case !secretID.MatchString(req.GetSecretId()):
		return nil, invalid("The provided Secret ID [%s] does not match the expected format [[a-zA-Z_0-9]+]", req.GetSecretId())
	case !regional && req.GetSecret().GetReplication().GetReplication() == nil:
		return nil, invalid("Secret.replication must be provided")
	case regional && req.GetSecret().GetReplication() != nil:
		return nil, invalid("Secret.replication must not be provided for regional secrets")
	}
	if err := checkLabels(req.GetSecret().GetLabels()); err != nil {
		return nil, err
	}
	full := parent + "/secrets/" + req.GetSecretId()
	if s.secrets[full] != nil {
		return nil, status.Errorf(codes.AlreadyExists, "Secret [%s] already exists.", full)
	}
	about := proto.Clone(req.GetSecret()).(*secretmanagerpb.Secret)
	about.Name = full
	about.CreateTime, about.Etag = s.now()
	s.secrets[full] = &secret{about: about}
	return proto.Clone(about).(*secretmanagerpb.Secret), nil
}

func (s *Server) AddSecretVersion(_ context.Context, req *secretmanagerpb.AddSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	s.enter("AddSecretVersion")
	s.mu.Lock()
	defer s.mu.Unlock()
	found, full, err := s.find(req.GetParent())
	if err != nil {
		return nil, err
	}
	data := req.GetPayload().GetData()
	switch given := req.GetPayload().DataCrc32C; {
	case len(data) == 0:
		return nil, invalid("Secret Payload cannot be empty.")
	case len(data) > 64<<10:
		return nil, invalid("The payload must be at most 65536 bytes.")
	case given != nil && *given != *sum(data):
		return nil, invalid("The checksum of the payload does not match data_crc32c.")
	}
	n := 1 + s.Skip
	if len(found.versions) > 0 {
		n += found.versions[len(found.versions)-1].number
	}
	about := &secretmanagerpb.SecretVersion{
		Name: fmt.Sprintf("%s/versions/%d", full, n), State: secretmanagerpb.SecretVersion_ENABLED,
		ReplicationStatus:              replicated(found.about),
		ClientSpecifiedPayloadChecksum: req.GetPayload().DataCrc32C != nil,
	}
	about.CreateTime, about.Etag = s.now()
	found.versions = append(found.versions, &version{number: n, about: about, data: slices.Clone(data)})
	return proto.Clone(about).(*secretmanagerpb.SecretVersion), nil
}

// replicated says where a version is. Regional secrets have no such thing.
func replicated(about *secretmanagerpb.Secret) *secretmanagerpb.ReplicationStatus {
	status := &secretmanagerpb.ReplicationStatus{}
	switch replication := about.GetReplication().GetReplication().(type) {
	case *secretmanagerpb.Replication_Automatic_:
		status.ReplicationStatus = &secretmanagerpb.ReplicationStatus_Automatic{Automatic: &secretmanagerpb.ReplicationStatus_AutomaticStatus{}}
	case *secretmanagerpb.Replication_UserManaged_:
		managed := &secretmanagerpb.ReplicationStatus_UserManagedStatus{}
		for _, r := range replication.UserManaged.GetReplicas() {
			managed.Replicas = append(managed.Replicas, &secretmanagerpb.ReplicationStatus_UserManagedStatus_ReplicaStatus{Location: r.GetLocation()})
		}
		status.ReplicationStatus = &secretmanagerpb.ReplicationStatus_UserManaged{UserManaged: managed}
	default:
		return nil
	}
	return status
}

func (s *Server) AccessSecretVersion(_ context.Context, req *secretmanagerpb.AccessSecretVersionRequest) (*secretmanagerpb.AccessSecretVersionResponse, error) {
	s.enter("AccessSecretVersion")
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion(req.GetName())
	if err != nil {
		return nil, err
	}
	if v.about.GetState() != secretmanagerpb.SecretVersion_ENABLED {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in %s state.", v.about.GetName(), v.about.GetState())
	}
	crc := sum(v.data)
	if s.Lie {
		*crc ^= 1
	}
	return &secretmanagerpb.AccessSecretVersionResponse{
		Name: v.about.GetName(), Payload: &secretmanagerpb.SecretPayload{Data: slices.Clone(v.data), DataCrc32C: crc},
	}, nil
}

func (s *Server) GetSecret(_ context.Context, req *secretmanagerpb.GetSecretRequest) (*secretmanagerpb.Secret, error) {
	s.enter("GetSecret")
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _, err := s.find(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.Clone(found.about).(*secretmanagerpb.Secret), nil
}

func (s *Server) GetSecretVersion(_ context.Context, req *secretmanagerpb.GetSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	s.enter("GetSecretVersion")
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion(req.GetName())
	if err != nil {
		return nil, err
	}
	return proto.Clone(v.about).(*secretmanagerpb.SecretVersion), nil
}

// UpdateSecret knows the field that the product changes.
func (s *Server) UpdateSecret(_ context.Context, req *secretmanagerpb.UpdateSecretRequest) (*secretmanagerpb.Secret, error) {
	s.enter("UpdateSecret")
	s.mu.Lock()
	defer s.mu.Unlock()
	found, _, err := s.find(req.GetSecret().GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(req.GetSecret().GetEtag(), found.about.GetEtag()); err != nil {
		return nil, err
	}
	if !slices.Equal(req.GetUpdateMask().GetPaths(), []string{"labels"}) {
		return nil, status.Error(codes.Unimplemented, "the fake updates labels only")
	}
	if err := checkLabels(req.GetSecret().GetLabels()); err != nil {
		return nil, err
	}
	found.about.Labels = maps.Clone(req.GetSecret().GetLabels())
	_, found.about.Etag = s.now()
	return proto.Clone(found.about).(*secretmanagerpb.Secret), nil
}

func (s *Server) DeleteSecret(_ context.Context, req *secretmanagerpb.DeleteSecretRequest) (*emptypb.Empty, error) {
	s.enter("DeleteSecret")
	s.mu.Lock()
	defer s.mu.Unlock()
	found, full, err := s.find(req.GetName())
	if err != nil {
		return nil, err
	}
	if err := sameEtag(req.GetEtag(), found.about.GetEtag()); err != nil {
		return nil, err
	}
	delete(s.secrets, full)
	return &emptypb.Empty{}, nil
}

func (s *Server) DisableSecretVersion(_ context.Context, req *secretmanagerpb.DisableSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	return s.turn("DisableSecretVersion", req.GetName(), req.GetEtag(), secretmanagerpb.SecretVersion_DISABLED)
}

func (s *Server) EnableSecretVersion(_ context.Context, req *secretmanagerpb.EnableSecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	return s.turn("EnableSecretVersion", req.GetName(), req.GetEtag(), secretmanagerpb.SecretVersion_ENABLED)
}

func (s *Server) DestroySecretVersion(_ context.Context, req *secretmanagerpb.DestroySecretVersionRequest) (*secretmanagerpb.SecretVersion, error) {
	return s.turn("DestroySecretVersion", req.GetName(), req.GetEtag(), secretmanagerpb.SecretVersion_DESTROYED)
}

func (s *Server) turn(method, name, etag string, to secretmanagerpb.SecretVersion_State) (*secretmanagerpb.SecretVersion, error) {
	s.enter(method)
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.findVersion(name)
	if err != nil {
		return nil, err
	}
	if err := sameEtag(etag, v.about.GetEtag()); err != nil {
		return nil, err
	}
	if v.about.GetState() == secretmanagerpb.SecretVersion_DESTROYED {
		return nil, status.Errorf(codes.FailedPrecondition, "Secret Version [%s] is in DESTROYED state.", v.about.GetName())
	}
	at, tag := s.now()
	v.about.State, v.about.Etag = to, tag
	if to == secretmanagerpb.SecretVersion_DESTROYED {
		v.about.DestroyTime, v.data = at, nil
	}
	return proto.Clone(v.about).(*secretmanagerpb.SecretVersion), nil
}

// maxPage is what Google's reference gives for ListSecrets; page_size 0 leaves it to the server.
const maxPage = 25000

// ListSecrets has no filters.
func (s *Server) ListSecrets(_ context.Context, req *secretmanagerpb.ListSecretsRequest) (*secretmanagerpb.ListSecretsResponse, error) {
	s.enter("ListSecrets")
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, err := s.canonical(req.GetParent())
	if err != nil {
		return nil, err
	}
	if req.GetFilter() != "" {
		return nil, status.Error(codes.Unimplemented, "the fake has no filters")
	}
	if req.GetPageSize() < 0 {
		return nil, invalid("page_size is negative.")
	}
	after := ""
	if req.GetPageToken() != "" {
		raw, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
		var ours bool
		if after, ours = strings.CutPrefix(string(raw), "after:"); err != nil || !ours {
			return nil, invalid("Invalid page token.")
		}
	}
	size := int(req.GetPageSize())
	if size == 0 || size > maxPage {
		size = maxPage
	}
	res := &secretmanagerpb.ListSecretsResponse{}
	for _, full := range slices.Sorted(maps.Keys(s.secrets)) {
		id, inside := strings.CutPrefix(full, parent+"/secrets/")
		if !inside || strings.Contains(id, "/") {
			continue
		}
		res.TotalSize++
		if full <= after {
			continue
		}
		if len(res.Secrets) == size {
			res.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte("after:" + res.Secrets[size-1].GetName()))
			continue
		}
		res.Secrets = append(res.Secrets, proto.Clone(s.secrets[full].about).(*secretmanagerpb.Secret))
	}
	return res, nil
}

func sameEtag(given, is string) error {
	if given != "" && given != is {
		return status.Error(codes.FailedPrecondition, "The etag provided in the request does not match the resource's current etag.")
	}
	return nil
}

// checkLabels is the text of Google's reference, Secret.labels, read once more.
func checkLabels(labels map[string]string) error {
	if len(labels) > 64 {
		return invalid("No more than 64 labels can be assigned to a given resource.")
	}
	for key, value := range labels {
		for i, r := range []rune(key) {
			if letter := unicode.Is(unicode.Ll, r) || unicode.Is(unicode.Lo, r); !letter && (i == 0 || !inLabel(r)) {
				return invalid("Label key is invalid.")
			}
		}
		if n := len([]rune(key)); n < 1 || n > 63 || len(key) > 128 {
			return invalid("Label key is invalid.")
		}
		if len([]rune(value)) > 63 || len(value) > 128 || strings.ContainsFunc(value, func(r rune) bool { return !inLabel(r) }) {
			return invalid("Label value is invalid.")
		}
	}
	return nil
}

func inLabel(r rune) bool {
	return unicode.In(r, unicode.Ll, unicode.Lo, unicode.N) || r == '_' || r == '-'
}
