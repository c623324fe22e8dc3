package gcp

import (
	"context"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"secretsbridge/agent"
)

// latest is the alias of the version that was added last, whatever its state.
const latest = "/versions/latest"

// castagnoli is the CRC that Secret Manager keeps with each payload.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(data []byte) int64 { return int64(crc32.Checksum(data, castagnoli)) }

// Read implements [agent.Provider]: one access to the value and two reads, of the secret
// for its labels and of the version for its time.
func (p *Provider) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := p.read(ctx, ref)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return b, nil
}

func (p *Provider) read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	name, err := p.name(ref)
	if err != nil {
		return agent.Bundle{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	data, n, err := p.access(ctx, name+latest)
	if has(err, "FAILED_PRECONDITION") {
		return agent.Bundle{}, p.whyClosed(ctx, name)
	}
	if err != nil {
		return agent.Bundle{}, err
	}
	defer clear(data)
	b, err := agent.ParseBundle(data)
	if err != nil {
		return agent.Bundle{}, err
	}
	secret, err := p.secret(ctx, name)
	if err == nil {
		var version *secretmanagerpb.SecretVersion
		if version, err = p.version(ctx, name+"/versions/"+strconv.FormatInt(n, 10)); err == nil {
			b.Version = asVersion(n)
			b.Labels = secret.GetLabels()
			b.CreatedAt, b.UpdatedAt = at(secret.GetCreateTime()), at(version.GetCreateTime())
			return b, nil
		}
	}
	b.Zero()
	return agent.Bundle{}, err
}

// access returns the payload of a version, for the caller to clear, and its number.
func (p *Provider) access(ctx context.Context, version string) ([]byte, int64, error) {
	res, err := access(ctx, p, func(ctx context.Context) (*secretmanagerpb.AccessSecretVersionResponse, error) {
		return p.sdk.AccessSecretVersion(ctx, &secretmanagerpb.AccessSecretVersionRequest{Name: version})
	})
	if err != nil {
		return nil, 0, err
	}
	data := res.GetPayload().GetData()
	n, ok := number(res.GetName())
	switch {
	case !ok:
		clear(data)
		return nil, 0, &fault{kind: agent.ErrUnavailable, detail: notGoogles}
	case res.GetPayload().DataCrc32C == nil || res.GetPayload().GetDataCrc32C() != checksum(data):
		clear(data)
		return nil, 0, &fault{kind: agent.ErrCorrupt, detail: fmt.Sprintf("the checksum of version %d does not match", n)}
	}
	return data, n, nil
}

// whyClosed says why the latest version cannot be accessed: it is disabled or destroyed,
// and then the secret is not there, or its key cannot be used.
func (p *Provider) whyClosed(ctx context.Context, name string) error {
	version, err := p.version(ctx, name+latest)
	switch {
	case err != nil:
		return err
	case version.GetState() == secretmanagerpb.SecretVersion_ENABLED:
		return &fault{kind: agent.ErrUnavailable, code: "FAILED_PRECONDITION", detail: "its latest version cannot be opened: look at its KMS key"}
	case version.GetState() == secretmanagerpb.SecretVersion_DESTROYED:
		return &fault{kind: agent.ErrNotFound, detail: "its latest version was destroyed"}
	}
	return &fault{kind: agent.ErrNotFound, detail: "its latest version is disabled"}
}

func (p *Provider) secret(ctx context.Context, name string) (*secretmanagerpb.Secret, error) {
	return read(ctx, p, func(ctx context.Context) (*secretmanagerpb.Secret, error) {
		return p.sdk.GetSecret(ctx, &secretmanagerpb.GetSecretRequest{Name: name})
	})
}

func (p *Provider) version(ctx context.Context, name string) (*secretmanagerpb.SecretVersion, error) {
	return read(ctx, p, func(ctx context.Context) (*secretmanagerpb.SecretVersion, error) {
		version, err := p.sdk.GetSecretVersion(ctx, &secretmanagerpb.GetSecretVersionRequest{Name: name})
		if err != nil {
			return nil, err
		}
		if _, ok := number(version.GetName()); !ok {
			return nil, &fault{kind: agent.ErrUnavailable, detail: notGoogles}
		}
		return version, nil
	})
}

// number is the last part of projects/NUMBER/secrets/ID/versions/N. The project comes back
// as its number, whatever was asked for.
func number(name string) (int64, bool) {
	i := strings.LastIndex(name, "/versions/")
	if i < 0 {
		return 0, false
	}
	return parseNumber(name[i+len("/versions/"):])
}

// parseNumber takes Google's own spelling of a number only.
func parseNumber(text string) (int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil && n > 0 && strconv.FormatInt(n, 10) == text
}

func asVersion(n int64) agent.Version { return agent.Version(strconv.FormatInt(n, 10)) }

// at is zero where Google does not say.
func at(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Write implements [agent.Provider]. The labels of a secret that is created go with its
// creation, before its first version makes it one that readers see; others follow the
// values in a call of their own.
func (p *Provider) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	version, err := p.write(ctx, ref, b, expect)
	if err != nil {
		return version, fmt.Errorf("write %s: %w", ref, err)
	}
	return version, nil
}

func (p *Provider) write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	name, err := p.name(ref)
	if err != nil {
		return "", err
	}
	if err := checkLabels(b.Labels); err != nil {
		return "", err
	}
	values, err := b.JSON()
	if err != nil {
		return "", err
	}
	defer clear(values)
	if len(values) > maxPayload {
		return "", fmt.Errorf("%w: Secret Manager takes %d bytes", agent.ErrTooLarge, maxPayload)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	end, err := p.writers.Take(ctx, name)
	if err != nil {
		return "", fmt.Errorf("%w: other writers of the secret come first: %w", agent.ErrUnavailable, err)
	}
	defer end()
	n, created, err := p.expect(ctx, name, ref, expect, b.Labels)
	if err != nil {
		return "", err
	}
	m, err := p.put(ctx, name, values, n)
	if err != nil {
		return "", err
	}
	if b.Labels == nil || created {
		return asVersion(m), nil
	}
	if err := p.putLabels(ctx, name, b.Labels); err != nil {
		return asVersion(m), fmt.Errorf("the values are stored as version %d, the labels are not: %w", m, err)
	}
	return asVersion(m), nil
}

// expect returns the number of the latest version, 0 if there is none, if readers see what
// the writer expects, and [agent.ErrConflict] if they do not. A secret that is to be new
// is created if need be, with labels.
//
// A crash after the creation leaves a secret without versions. For readers it is not there,
// and the next writer goes on from here. A creation whose answer is lost may be sent twice:
// it is then there already, as if somebody else had come first, and versions decide.
func (p *Provider) expect(ctx context.Context, name string, ref agent.Ref, expect agent.Version, labels map[string]string) (n int64, created bool, err error) {
	want, ok := int64(0), true
	if expect != "" {
		want, ok = parseNumber(string(expect))
	}
	if !ok {
		return 0, false, &fault{kind: agent.ErrConflict, detail: "no version has that name"}
	}
	version, err := p.version(ctx, name+latest)
	switch missing := has(err, "NOT_FOUND"); {
	case missing && want > 0:
		return 0, false, &fault{kind: agent.ErrConflict, detail: "there is no such secret"}
	case missing:
		created, err = p.create(ctx, ref, labels)
		return 0, created, err
	case err != nil:
		return 0, false, err
	}
	n, _ = number(version.GetName())
	visible := version.GetState() == secretmanagerpb.SecretVersion_ENABLED
	switch {
	case visible && n == want, !visible && want == 0: // a disabled one is not there for readers, but Google goes on counting
		return n, false, nil
	case visible:
		return 0, false, &fault{kind: agent.ErrConflict, detail: fmt.Sprintf("it is at version %d", n)}
	}
	return 0, false, &fault{kind: agent.ErrConflict, detail: "its latest version is disabled or destroyed"}
}

// create makes a secret without versions, and says so if it was not there before.
func (p *Provider) create(ctx context.Context, ref agent.Ref, labels map[string]string) (bool, error) {
	_, err := rewrite(ctx, p, func(ctx context.Context) (*secretmanagerpb.Secret, error) {
		return p.sdk.CreateSecret(ctx, &secretmanagerpb.CreateSecretRequest{
			Parent: p.parent, SecretId: ref.String(), Secret: p.blank(labels),
		})
	})
	if has(err, "ALREADY_EXISTS") {
		return false, nil
	}
	return err == nil, err
}

// blank is a secret as the configuration wants it to be.
func (p *Provider) blank(labels map[string]string) *secretmanagerpb.Secret {
	secret := &secretmanagerpb.Secret{Labels: labels}
	var key *secretmanagerpb.CustomerManagedEncryption
	if p.config.KMSKey != "" {
		key = &secretmanagerpb.CustomerManagedEncryption{KmsKeyName: p.config.KMSKey}
	}
	switch {
	case p.config.Location != "":
		secret.CustomerManagedEncryption = key
	case len(p.config.ReplicaLocations) > 0:
		managed := &secretmanagerpb.Replication_UserManaged{}
		for _, l := range p.config.ReplicaLocations {
			managed.Replicas = append(managed.Replicas, &secretmanagerpb.Replication_UserManaged_Replica{Location: l, CustomerManagedEncryption: key})
		}
		secret.Replication = &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_UserManaged_{UserManaged: managed}}
	default:
		secret.Replication = &secretmanagerpb.Replication{Replication: &secretmanagerpb.Replication_Automatic_{
			Automatic: &secretmanagerpb.Replication_Automatic{CustomerManagedEncryption: key},
		}}
	}
	return secret
}
