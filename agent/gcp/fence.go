package gcp

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"secretsbridge/agent"
)

// Secret Manager adds a version whatever the latest one is. What stands in the place of a
// compare-and-set: "SecretVersion IDs in a Secret start at 1 and are incremented for each
// subsequent version of the secret" (Secret Manager API, SecretVersion.name), so whoever read
// latest n and adds a version that becomes n+1 knows that nobody came between. Where it
// becomes a higher one, somebody did: the version before ours is put back as the newest, and
// the writer hears of a conflict and merges again.
//
// It tells each conflict, but not before the fact. Until the version is put back, some 100 ms,
// readers see values that lack what the other writer did; one who reads them then and writes
// on top keeps that lack (decision 0101).

const (
	// maxRepairs is how often a version is put back while others go on writing.
	maxRepairs = 5

	// maxSkipped is how many numbers without a version are looked past. Google documents none.
	maxSkipped = 10

	// repairTime bounds putting a version back, which goes on when the caller's context ends.
	repairTime = 30 * time.Second
)

// put stores payload as the version after n and returns its number.
func (p *Provider) put(ctx context.Context, name string, payload []byte, n int64) (int64, error) {
	m, err := p.add(ctx, name, payload)
	if err != nil || m == n+1 {
		return m, err
	}
	if m <= n {
		return 0, &fault{kind: agent.ErrUnavailable, detail: "versions are not numbered as Google documents it: the outcome is unknown"}
	}
	// The values are stored and hide somebody else's. A crash from here on until restore
	// returns leaves it so; what is hidden stays as version m-1.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), repairTime)
	defer cancel()
	alone, err := p.restore(ctx, name, n, m)
	switch {
	case err != nil:
		return 0, &fault{kind: agent.ErrUnavailable, detail: fmt.Sprintf(
			"the outcome is unknown: version %d hides what others wrote and could not be taken back (%v)", m, err)}
	case alone:
		return m, nil
	}
	return 0, &fault{kind: agent.ErrConflict, detail: "others wrote at the same time; their version was put back"}
}

// add stores payload as the newest version, whichever that is. It is not repeated unless
// Google surely did not take it.
func (p *Provider) add(ctx context.Context, name string, payload []byte) (int64, error) {
	sum := checksum(payload)
	version, err := write(ctx, p, func(ctx context.Context) (*secretmanagerpb.SecretVersion, error) {
		return p.sdk.AddSecretVersion(ctx, &secretmanagerpb.AddSecretVersionRequest{
			Parent: name, Payload: &secretmanagerpb.SecretPayload{Data: payload, DataCrc32C: &sum},
		})
	})
	if err != nil {
		return 0, err
	}
	m, ok := number(version.GetName())
	switch {
	case !ok:
		return 0, &fault{kind: agent.ErrUnavailable, detail: notGoogles}
	case !version.GetClientSpecifiedPayloadChecksum():
		return 0, &fault{kind: agent.ErrUnavailable, detail: "Google did not check the values' checksum: the outcome is unknown"}
	}
	return m, nil
}

// restore makes the version before mine the newest again, and whatever others write
// meanwhile. It reports alone if there is none between n and mine: then mine stays.
func (p *Provider) restore(ctx context.Context, name string, n, mine int64) (alone bool, err error) {
	for tries := range maxRepairs {
		payload, found, err := p.before(ctx, name, n, mine)
		if err != nil {
			return false, err
		}
		if !found {
			return tries == 0, nil
		}
		again, err := p.add(ctx, name, payload)
		clear(payload)
		if err != nil {
			return false, err
		}
		if again == mine+1 {
			return false, nil
		}
		n, mine = mine, again // somebody came between again
	}
	return false, errors.New("others keep writing")
}

// before returns the payload of the highest version between n and mine, both excluded.
func (p *Provider) before(ctx context.Context, name string, n, mine int64) (payload []byte, found bool, err error) {
	for i := mine - 1; i > n; i-- {
		if mine-i > maxSkipped {
			return nil, false, errors.New("numbers of versions are missing")
		}
		payload, _, err = p.access(ctx, name+"/versions/"+strconv.FormatInt(i, 10))
		if !has(err, "NOT_FOUND") {
			return payload, err == nil, err
		}
	}
	return nil, false, nil
}
