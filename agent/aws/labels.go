package aws

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
)

// What a tag may be (API Reference, TagResource; characters as AWS allows them for all of
// its services). Checked here because AWS would refuse only after the values are stored.
const (
	maxTags     = 50
	maxTagName  = 128 // characters
	maxTagValue = 256

	// reserved begins the names of tags that only AWS sets and removes, in any case.
	reserved = "aws:"
)

// change is how tags become the labels that a bundle brings.
type change struct {
	set    []types.Tag
	remove []string
}

// labelChange compares tags with the labels that are wanted; nil wants none changed. Tags
// that AWS keeps for itself stay, and may be among the wanted as they are.
func labelChange(now, want map[string]string) (change, error) {
	if want == nil {
		return change{}, nil
	}
	var c change
	own := 0
	for _, name := range slices.Sorted(maps.Keys(want)) {
		value := want[name]
		is, there := now[name]
		if !isReserved(name) {
			own++
		}
		if there && is == value {
			continue
		}
		if err := checkTag(name, value); err != nil {
			return change{}, err
		}
		c.set = append(c.set, types.Tag{Key: sdk.String(name), Value: sdk.String(value)})
	}
	if own > maxTags {
		return change{}, fmt.Errorf("%w: more than %d labels", agent.ErrTooLarge, maxTags)
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, stays := want[name]; !stays && !isReserved(name) {
			c.remove = append(c.remove, name)
		}
	}
	return c, nil
}

func isReserved(name string) bool { return strings.HasPrefix(strings.ToLower(name), reserved) }

func checkTag(name, value string) error {
	switch {
	case isReserved(name):
		return fmt.Errorf("%w: AWS keeps labels that begin with %q for itself", agent.ErrNotBundle, reserved)
	case name == "":
		return fmt.Errorf("%w: AWS takes no label without a name", agent.ErrNotBundle)
	case utf8.RuneCountInString(name) > maxTagName || utf8.RuneCountInString(value) > maxTagValue:
		return fmt.Errorf("%w: a label has more than %d characters in its name or %d in its value", agent.ErrTooLarge, maxTagName, maxTagValue)
	case !utf8.ValidString(name+value) || strings.ContainsFunc(name+value, notInTags):
		return fmt.Errorf("%w: AWS takes letters, digits, spaces and _.:/=+-@ in labels", agent.ErrNotBundle)
	}
	return nil
}

func notInTags(r rune) bool {
	return !unicode.In(r, unicode.L, unicode.N, unicode.Z) && !strings.ContainsRune("_.:/=+-@", r)
}

// relabel removes first: a secret has at most 50 tags.
func (p *Provider) relabel(ctx context.Context, name string, c change) error {
	if len(c.remove) > 0 {
		err := p.call(ctx, "UntagResource", func(ctx context.Context) error {
			_, err := p.plain.UntagResource(ctx, &secretsmanager.UntagResourceInput{SecretId: sdk.String(name), TagKeys: c.remove})
			return err
		})
		if err != nil {
			return err
		}
	}
	if len(c.set) == 0 {
		return nil
	}
	return p.call(ctx, "TagResource", func(ctx context.Context) error {
		_, err := p.plain.TagResource(ctx, &secretsmanager.TagResourceInput{SecretId: sdk.String(name), Tags: c.set})
		return err
	})
}

// newUUID makes a token that no other write has (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
