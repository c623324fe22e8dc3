package azure

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"secretsbridge/agent"
	"secretsbridge/internal/patience"
)

const (
	// maxValue is from Microsoft's "About Azure Key Vault secrets": 25k bytes.
	maxValue = 25 << 10

	// maxTags and maxTagText are from the REST reference, "Set Secret", and from "Azure
	// Key Vault keys, secrets, and certificates overview", object tags.
	maxTags    = 15
	maxTagText = 256

	// lookTries is how often a write begins anew because others write while it looks.
	lookTries = 3

	// putBacks is how often one write puts back what others wrote meanwhile.
	putBacks = 3

	// settleTime bounds a write from the moment that it is sent: it goes on then whatever
	// becomes of its caller, because nobody else could put back what it covered.
	// An agent that is told to stop waits for 20 seconds.
	settleTime = 25 * time.Second

	// clocks is how far the vault's clocks may be apart: what is older by more than the
	// version that was current cannot have come after it, wherever the list had it before.
	clocks = time.Minute

	// shownTries and shownPause let what the vault shows lag behind for about a second.
	shownTries = 5
	shownPause = 200 * time.Millisecond
)

// Write implements [agent.Provider]. Labels are tags and go with the value. Content type,
// dates and, with nil Labels, tags are those of the version before.
//
// The vault stores whatever comes. So a write notes which versions there are, reads the
// current one, stores its own, and looks whether there are versions that it knows nothing
// of. Those of others that lie below its own it puts back on top, and answers
// [agent.ErrConflict], as it does where others came after it. Readers may see for moments
// what is then taken back.
func (p *Provider) Write(ctx context.Context, ref agent.Ref, b agent.Bundle, expect agent.Version) (agent.Version, error) {
	version, err := p.write(ctx, ref, b, expect)
	if err != nil {
		return "", fmt.Errorf("write %s: %w", ref, err)
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
	if len(values) > maxValue {
		return "", fmt.Errorf("%w: a value of a key vault has at most %d bytes", agent.ErrTooLarge, maxValue)
	}
	done, err := p.writers.Take(ctx, strings.ToLower(name))
	if err != nil {
		return "", fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	defer done()
	known, now, err := p.look(ctx, name)
	switch {
	case err != nil:
		return "", err
	case now.managed:
		return "", errManaged
	case agent.Version(now.version) != expect:
		return "", agent.ErrConflict
	}
	next := stored{contentType: now.contentType, tags: now.tags, attributes: now.attributes}
	if now.version == "" {
		next.contentType = to.Ptr("application/json")
	}
	if b.Labels != nil {
		next.tags = make(map[string]*string, len(b.Labels))
		for name, text := range b.Labels {
			next.tags[name] = to.Ptr(text)
		}
	}
	// From here on something may be stored, and what it covers must be found.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	mine, err := p.set(ctx, name, next, values)
	if err != nil {
		return "", err
	}
	if err := p.settle(ctx, name, known, at(now.attributes.Created), mine); err != nil {
		return "", err
	}
	return agent.Version(mine), nil
}

// look returns all versions of a secret and the current one, which is among them: so no
// version came in between that neither shows. A secret that is not there has neither.
func (p *Provider) look(ctx context.Context, name string) (map[string]aVersion, stored, error) {
	for range lookTries {
		known, err := p.versionsOf(ctx, name)
		if err != nil {
			return nil, stored{}, err
		}
		now, err := p.get(ctx, name, "")
		switch {
		case errors.Is(err, errOtherCase):
			return nil, stored{}, fmt.Errorf("%w: the vault has the name in another case", agent.ErrConflict)
		case errors.Is(err, agent.ErrNotFound) && len(known) == 0:
			return known, stored{}, nil
		case errors.Is(err, agent.ErrNotFound):
			continue // deleted meanwhile
		case err != nil:
			return nil, stored{}, err
		}
		if _, among := known[now.version]; among {
			return known, now, nil
		}
	}
	return nil, stored{}, fmt.Errorf("%w: others keep writing it", agent.ErrConflict)
}

// set stores a version and returns its id. Of next it takes what stands beside the value.
func (p *Provider) set(ctx context.Context, name string, next stored, value []byte) (string, error) {
	beside := azsecrets.SetSecretParameters{ContentType: next.contentType, Tags: next.tags}
	if a := next.attributes; a.Enabled != nil || a.NotBefore != nil || a.Expires != nil {
		beside.SecretAttributes = &azsecrets.SecretAttributes{Enabled: a.Enabled, NotBefore: a.NotBefore, Expires: a.Expires}
	}
	body, err := withValue(beside, value)
	if err != nil {
		return "", err
	}
	defer clear(body)
	var got azsecrets.Secret
	err = p.call(withBody(ctx, body), func(ctx context.Context) error {
		res, err := p.client.SetSecret(ctx, name, beside, nil)
		got = res.Secret
		return err
	})
	if err != nil {
		return "", err
	}
	made, err := parseSecret(got, name)
	switch {
	case errors.Is(err, errOtherCase): // made by somebody else since we looked
		return "", fmt.Errorf("%w: it is stored, and the vault has the name in another case", agent.ErrUnavailable)
	case err != nil:
		return "", err
	}
	return made.version, nil
}

// settle looks whether others wrote since known was all there was, the last of it at since,
// and puts back what lies below mine. It returns nil if nobody did.
func (p *Provider) settle(ctx context.Context, name string, known map[string]aVersion, since time.Time, mine string) error {
	met := 0
	for range putBacks {
		strangers, err := p.strangers(ctx, name, known, since, mine)
		if err != nil {
			return p.doubt(name, mine, err)
		}
		if len(strangers) == 0 {
			break
		}
		met += len(strangers)
		now, err := p.currentBeside(ctx, name, known)
		if err != nil {
			return p.doubt(name, mine, err)
		}
		if now != mine {
			p.log.Warn("others wrote a secret after a write of this agent", "ref", name, "version", mine, "others", ids(strangers))
			return fmt.Errorf("%w: others wrote after it", agent.ErrConflict)
		}
		last, alone := newest(strangers)
		p.log.Warn("others wrote a secret while this agent did; theirs is put back", "ref", name, "version", mine, "others", ids(strangers), "back", last.id, "certain", alone)
		theirs, err := p.get(ctx, name, last.id)
		if err != nil {
			return p.doubt(name, mine, err)
		}
		maps.Copy(known, strangers)
		known[mine] = aVersion{}
		if mine, err = p.set(ctx, name, theirs, []byte(theirs.value)); err != nil {
			return p.doubt(name, last.id, err)
		}
	}
	if met > 0 {
		return fmt.Errorf("%w: others wrote while it did, and theirs is current", agent.ErrConflict)
	}
	return nil
}

// strangers are versions that are neither known nor mine. It waits until mine is listed.
func (p *Provider) strangers(ctx context.Context, name string, known map[string]aVersion, since time.Time, mine string) (map[string]aVersion, error) {
	for try := 1; ; try++ {
		all, err := p.versionsOf(ctx, name)
		if err != nil {
			return nil, err
		}
		if _, shown := all[mine]; shown {
			maps.DeleteFunc(all, func(id string, v aVersion) bool {
				_, before := known[id]
				return before || id == mine || v.created.Before(since.Add(-clocks))
			})
			return all, nil
		}
		if err := lag(ctx, try); err != nil {
			return nil, err
		}
	}
}

// currentBeside is the id of the current version. It waits until that is none of the known,
// which were all there was before somebody stored another.
func (p *Provider) currentBeside(ctx context.Context, name string, known map[string]aVersion) (string, error) {
	for try := 1; ; try++ {
		now, err := p.get(ctx, name, "")
		if err != nil {
			return "", err
		}
		if _, before := known[now.version]; !before {
			return now.version, nil
		}
		if err := lag(ctx, try); err != nil {
			return "", err
		}
	}
}

// lag pauses after a try that did not show what was stored.
func lag(ctx context.Context, try int) error {
	if try == shownTries {
		return fmt.Errorf("%w: the vault does not show what it stored", agent.ErrUnavailable)
	}
	if err := patience.Wait(ctx, shownPause); err != nil {
		return fmt.Errorf("%w: %w", agent.ErrUnavailable, err)
	}
	return nil
}

// doubt is the end of a write that is stored, and about which nothing more is known. A cause
// of another kind would say that nothing was stored.
func (p *Provider) doubt(name, version string, cause error) error {
	p.log.Warn("whether others wrote a secret at the same time is not known; compare its versions in the vault", "ref", name, "version", version, "err", cause)
	return fmt.Errorf("%w: it is stored, and whether others wrote at the same time is not known", agent.ErrUnavailable)
}

func ids(versions map[string]aVersion) []string { return slices.Sorted(maps.Keys(versions)) }

func checkLabels(labels map[string]string) error {
	if len(labels) > maxTags {
		return fmt.Errorf("%w: more than %d tags", agent.ErrTooLarge, maxTags)
	}
	for name, text := range labels {
		switch {
		case name == "":
			return fmt.Errorf("%w: Key Vault takes no tag without a name", agent.ErrNotBundle)
		case len(name) > maxTagText || len(text) > maxTagText:
			return fmt.Errorf("%w: a tag has more than %d bytes in its name or its value", agent.ErrTooLarge, maxTagText)
		}
	}
	return nil
}
