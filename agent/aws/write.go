package aws

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
)

const (
	// maxValue is what AWS stores in one version (User Guide, quotas).
	maxValue = 65_536

	// ours begins the staging label that keeps a version while it is not current. The time
	// of the write follows, in seconds, and the first characters of the version's id. No
	// AWSPENDING: that is for rotations.
	ours = "secretsbridge-"

	// staleAfter is when a label of ours is of a write that no longer runs.
	staleAfter = time.Hour

	// tidyTime bounds how long a write takes off its label, when all else is done.
	tidyTime = 2 * time.Second
)

// Write implements [agent.Provider].
//
// A new secret and its labels are one call. An existing one takes three: the values go
// into a version that is not current, under a staging label of this write alone; AWSCURRENT
// moves there, which AWS refuses unless it is at the expected version; the label comes
// off. A crash before the move leaves what is current as it was, and one after it leaves
// a label that does no harm: [Provider.sweep] takes it when labels run out.
func (p *Provider) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	version, err := p.write(ctx, ref, b, expect)
	if err != nil {
		return version, fmt.Errorf("write %s: %w", ref, err)
	}
	return version, nil
}

func (p *Provider) write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	name, err := p.locate(ref)
	if err != nil {
		return "", err
	}
	values, err := b.JSON()
	if err != nil {
		return "", err
	}
	defer clear(values)
	if len(values) > maxValue {
		return "", fmt.Errorf("%w: AWS takes %d bytes", agent.ErrTooLarge, maxValue)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	w := writing{Provider: p, name: name, values: string(values), expect: expect, token: sdk.String(newUUID())}
	if expect == "" {
		return w.create(ctx, b.Labels)
	}
	return w.replace(ctx, b.Labels)
}

// writing is one write. Its token becomes the version's id, and makes a call that comes
// twice the same call for AWS.
type writing struct {
	*Provider
	name   string
	values string
	expect agent.Version
	token  *string
}

// create makes a secret that is not there, or gives one its first value.
func (w writing) create(ctx context.Context, labels map[string]string) (agent.Version, error) {
	change, err := labelChange(nil, labels)
	if err != nil {
		return "", err
	}
	var made *secretsmanager.CreateSecretOutput
	err = w.call(ctx, "CreateSecret", func(ctx context.Context) (err error) {
		made, err = w.Provider.values.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
			Name: sdk.String(w.name), SecretString: sdk.String(w.values), ClientRequestToken: w.token, Tags: change.set,
		})
		return err
	})
	if err == nil {
		if sdk.ToString(made.VersionId) != *w.token {
			return "", otherAnswer("CreateSecret").unknown()
		}
		return agent.Version(*w.token), nil
	}
	f := faultOf(err)
	if !f.unsure && f.code != codeExists && f.code != codeRequest {
		return "", err
	}
	now, lookErr := w.describe(ctx, w.name)
	switch {
	case lookErr == nil && now.was(*w.token):
		return agent.Version(*w.token), nil
	case f.unsure && (f.code != codeExists || lookErr != nil):
		return "", f.unknown()
	case lookErr != nil:
		return "", lookErr
	case now.deleted:
		return "", fmt.Errorf("%w: a secret of this name is scheduled for deletion: restore it, or wait until it is gone", agent.ErrConflict)
	case now.current == "" && f.code == codeExists:
		return w.onto(ctx, now, labels)
	}
	return "", err
}

// replace makes the next version of a secret that is there.
func (w writing) replace(ctx context.Context, labels map[string]string) (agent.Version, error) {
	now, err := w.describe(ctx, w.name)
	switch {
	case errors.Is(err, agent.ErrNotFound):
		return "", fmt.Errorf("%w: there is no such secret", agent.ErrConflict)
	case err != nil:
		return "", err
	case now.deleted:
		return "", fmt.Errorf("%w: it is scheduled for deletion", agent.ErrConflict)
	case now.current != w.expect:
		// Looked at first, so that a writer that is late leaves no version behind.
		return "", agent.ErrConflict
	}
	return w.onto(ctx, now, labels)
}

// onto writes over a state: values, then labels.
func (w writing) onto(ctx context.Context, now state, labels map[string]string) (agent.Version, error) {
	switch {
	case now.replica:
		return "", fmt.Errorf("%w: it is the replica of a secret in another region, which has to be written there", agent.ErrForbidden)
	case now.rotating:
		// The rotation would soon put its own version over ours.
		return "", fmt.Errorf("%w: AWS is rotating the secret, a version is AWSPENDING: try again when that has ended", agent.ErrConflict)
	}
	change, err := labelChange(now.labels, labels)
	if err != nil {
		return "", err
	}
	if err := w.stage(ctx, now); err != nil {
		return "", err
	}
	version := agent.Version(*w.token)
	if err := w.relabel(ctx, w.name, change); err != nil {
		return version, fmt.Errorf("the values are stored as version %s, the labels are not: %w", version, err)
	}
	return version, nil
}

// stage puts the version and makes it current.
func (w writing) stage(ctx context.Context, now state) error {
	label := ours + strconv.FormatInt(time.Now().Unix(), 10) + "-" + (*w.token)[:8]
	put, err := w.put(ctx, label)
	if err != nil && faultOf(err).code == codeLimit && w.sweep(ctx, w.name, now) {
		put, err = w.put(ctx, label)
	}
	if err != nil {
		// Nothing is current that was not before, unless it is the first version.
		if f := faultOf(err); f.unsure && now.current == "" {
			return f.unknown()
		}
		return err
	}
	if !slices.Contains(put, current) { // the first version of a secret is current at once
		// From here on a crash leaves a version that nobody reads, or one that is current.
		err = w.move(ctx)
	}
	if err == nil || !faultOf(err).unsure {
		w.takeOff(ctx, w.name, label, *w.token)
	}
	return err
}

// put stores the values as a version that is not current, and returns its labels.
func (w writing) put(ctx context.Context, label string) ([]string, error) {
	var stored *secretsmanager.PutSecretValueOutput
	err := w.call(ctx, "PutSecretValue", func(ctx context.Context) (err error) {
		stored, err = w.Provider.values.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
			SecretId: sdk.String(w.name), SecretString: sdk.String(w.values), ClientRequestToken: w.token, VersionStages: []string{label},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if sdk.ToString(stored.VersionId) != *w.token {
		return nil, otherAnswer("PutSecretValue")
	}
	return stored.VersionStages, nil
}

// move makes the version current if the expected one is: the compare-and-set. To send it
// twice is safe, but the second answer is that of a conflict where the first had its
// effect: then what AWS has decides.
func (w writing) move(ctx context.Context) error {
	in := &secretsmanager.UpdateSecretVersionStageInput{SecretId: sdk.String(w.name), VersionStage: sdk.String(current), MoveToVersionId: w.token}
	if w.expect != "" {
		in.RemoveFromVersionId = sdk.String(string(w.expect))
	}
	err := w.call(ctx, "UpdateSecretVersionStage", func(ctx context.Context) error {
		_, err := w.plain.UpdateSecretVersionStage(ctx, in)
		return err
	})
	if err == nil {
		return nil
	}
	f := faultOf(err)
	if !f.unsure && f.code != codeParameter && f.code != codeRequest {
		return err
	}
	now, lookErr := w.describe(ctx, w.name)
	switch {
	case lookErr == nil && now.was(*w.token):
		return nil
	case f.unsure:
		return f.unknown()
	case f.code == codeParameter || lookErr == nil && now.current != w.expect:
		return &fault{operation: f.operation, kind: agent.ErrConflict, text: "another version became current"}
	}
	return err
}

// takeOff removes a label of ours, so that AWS may remove the version once nobody needs
// it. What remains if that comes to nothing is for sweep.
func (p *Provider) takeOff(ctx context.Context, name, label, version string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTime)
	defer cancel()
	return p.call(ctx, "UpdateSecretVersionStage", func(ctx context.Context) error {
		_, err := p.plain.UpdateSecretVersionStage(ctx, &secretsmanager.UpdateSecretVersionStageInput{
			SecretId: sdk.String(name), VersionStage: sdk.String(label), RemoveFromVersionId: sdk.String(version),
		})
		return err
	}) == nil
}

// sweep removes labels that writes left which were cut short. A secret has at most 20. It
// reports whether one came off.
func (p *Provider) sweep(ctx context.Context, name string, now state) bool {
	swept := false
	for version, labels := range now.stages {
		for _, label := range labels {
			if stale(label) {
				swept = p.takeOff(ctx, name, label, version) || swept
			}
		}
	}
	return swept
}

func stale(label string) bool {
	text, mine := strings.CutPrefix(label, ours)
	text, _, _ = strings.Cut(text, "-")
	at, err := strconv.ParseInt(text, 10, 64)
	return mine && err == nil && time.Since(time.Unix(at, 0)) > staleAfter
}
