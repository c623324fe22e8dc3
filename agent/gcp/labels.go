package gcp

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"secretsbridge/agent"
)

// What labels may be: Secret Manager API, Secret.labels. Checked here because Google would
// refuse only after the values are stored.
const (
	maxLabels     = 64
	maxLabelChars = 63
	maxLabelBytes = 128
)

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%w: more than %d labels", agent.ErrTooLarge, maxLabels)
	}
	for name, value := range labels {
		switch {
		case len(name) > maxLabelBytes || len(value) > maxLabelBytes:
			return fmt.Errorf("%w: a label has more than %d bytes in its name or its value", agent.ErrTooLarge, maxLabelBytes)
		case name == "" || !isLabel(name) || !isLabel(value) || !startsWithLetter(name):
			return fmt.Errorf("%w: Secret Manager's labels are lower-case letters, digits, _ and -, names begin with a letter", agent.ErrNotBundle)
		}
	}
	return nil
}

// isLabel reports whether text is [\p{Ll}\p{Lo}\p{N}_-]{0,63}. (As a regular expression it
// would take 3 MB of memory.)
func isLabel(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxLabelChars && !strings.ContainsFunc(text, func(r rune) bool {
		return !unicode.In(r, unicode.Ll, unicode.Lo, unicode.N) && r != '_' && r != '-'
	})
}

func startsWithLetter(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return unicode.In(r, unicode.Ll, unicode.Lo)
}

// maxLabelTries is how often labels are written while others change the secret.
const maxLabelTries = 4

// putLabels replaces the labels of a secret. The etag holds back a change that somebody
// makes at the same time from being half overwritten; ours is then made on top of it.
func (p *Provider) putLabels(ctx context.Context, name string, labels map[string]string) error {
	for tries := 1; ; tries++ {
		secret, err := p.secret(ctx, name)
		if err != nil {
			return err
		}
		if maps.Equal(secret.GetLabels(), labels) {
			return nil
		}
		_, err = rewrite(ctx, p, func(ctx context.Context) (*secretmanagerpb.Secret, error) {
			return p.sdk.UpdateSecret(ctx, &secretmanagerpb.UpdateSecretRequest{
				Secret:     &secretmanagerpb.Secret{Name: name, Etag: secret.GetEtag(), Labels: labels},
				UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"labels"}},
			})
		})
		switch {
		case err == nil:
			return nil
		case !has(err, "FAILED_PRECONDITION"): // another etag; also if our own first try was stored
			return err
		case tries == maxLabelTries:
			return &fault{kind: agent.ErrUnavailable, code: "FAILED_PRECONDITION", detail: "others keep changing the secret"}
		}
	}
}
