package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
)

// The staging labels that AWS moves itself (User Guide, "What's in a secret").
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"
)

// Read implements [agent.Provider]. Labels come from a second call: they are those of a
// moment later than the values. UpdatedAt is when the version was made.
func (p *Provider) Read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	b, err := p.read(ctx, ref)
	if err != nil {
		return agent.Bundle{}, fmt.Errorf("read %s: %w", ref, err)
	}
	return b, nil
}

func (p *Provider) read(ctx context.Context, ref agent.Ref) (agent.Bundle, error) {
	name, err := p.locate(ref)
	if err != nil {
		return agent.Bundle{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	var got *secretsmanager.GetSecretValueOutput
	err = p.call(ctx, "GetSecretValue", func(ctx context.Context) (err error) {
		got, err = p.values.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: sdk.String(name), VersionStage: sdk.String(current)})
		return err
	})
	if err != nil {
		return agent.Bundle{}, p.whyNot(ctx, name, err)
	}
	switch {
	case sdk.ToString(got.Name) != name || sdk.ToString(got.VersionId) == "":
		return agent.Bundle{}, otherAnswer("GetSecretValue")
	case got.SecretString == nil && got.SecretBinary != nil:
		clear(got.SecretBinary)
		return agent.Bundle{}, fmt.Errorf("%w: the secret is binary", agent.ErrNotBundle)
	case got.SecretString == nil:
		return agent.Bundle{}, fmt.Errorf("%w: the secret has no value", agent.ErrNotBundle)
	}
	raw := []byte(*got.SecretString)
	defer clear(raw)
	b, err := agent.ParseBundle(raw)
	if err != nil {
		return agent.Bundle{}, err
	}
	now, err := p.describe(ctx, name)
	if err != nil {
		b.Zero()
		return agent.Bundle{}, err
	}
	b.Version, b.Labels = agent.Version(*got.VersionId), now.labels
	b.CreatedAt, b.UpdatedAt = now.created, sdk.ToTime(got.CreatedDate).UTC()
	return b, nil
}

// whyNot finds out why AWS gives no value: its answer is the same for several states.
func (p *Provider) whyNot(ctx context.Context, name string, err error) error {
	if f := faultOf(err); !errors.Is(err, agent.ErrNotFound) && f.code != codeRequest {
		return err
	}
	now, lookErr := p.describe(ctx, name)
	switch {
	case lookErr != nil:
		return err
	case now.deleted:
		return fmt.Errorf("%w: it is scheduled for deletion", agent.ErrNotFound)
	case now.current == "":
		return fmt.Errorf("%w: it has no current value", agent.ErrNotFound)
	}
	return err
}

// state is what AWS says of a secret without its value.
type state struct {
	current  agent.Version // "" if no version is
	stages   map[string][]string
	labels   map[string]string // tags
	created  time.Time
	deleted  bool
	replica  bool
	rotating bool
}

func (p *Provider) describe(ctx context.Context, name string) (state, error) {
	var got *secretsmanager.DescribeSecretOutput
	err := p.call(ctx, "DescribeSecret", func(ctx context.Context) (err error) {
		got, err = p.plain.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: sdk.String(name)})
		return err
	})
	if err != nil {
		return state{}, err
	}
	if sdk.ToString(got.Name) != name {
		return state{}, otherAnswer("DescribeSecret")
	}
	s := state{
		current: currentOf(got.VersionIdsToStages), stages: got.VersionIdsToStages, labels: labelsOf(got.Tags),
		created: sdk.ToTime(got.CreatedDate).UTC(), deleted: got.DeletedDate != nil,
		replica: got.PrimaryRegion != nil && *got.PrimaryRegion != p.region,
	}
	for id, stages := range s.stages {
		// A version that is pending and current is the end of a rotation, not its middle.
		if sdk.ToBool(got.RotationEnabled) && slices.Contains(stages, pending) && agent.Version(id) != s.current {
			s.rotating = true
		}
	}
	return s, nil
}

// was reports whether a version is current or was until the last write.
func (s state) was(id string) bool {
	return slices.Contains(s.stages[id], current) || slices.Contains(s.stages[id], previous)
}

func currentOf(stages map[string][]string) agent.Version {
	for id, labels := range stages {
		if slices.Contains(labels, current) {
			return agent.Version(id)
		}
	}
	return ""
}

// labelsOf are tags as they are, also those that AWS keeps for itself.
func labelsOf(tags []types.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	labels := make(map[string]string, len(tags))
	for _, tag := range tags {
		labels[sdk.ToString(tag.Key)] = sdk.ToString(tag.Value)
	}
	return labels
}

// otherAnswer is an answer in the right form about something else.
func otherAnswer(operation string) *fault {
	return &fault{operation: operation, kind: agent.ErrUnavailable, text: "the answer is not about what was asked for", unsure: true}
}
