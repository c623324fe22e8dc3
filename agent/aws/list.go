package aws

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	sdk "github.com/aws/aws-sdk-go-v2/aws"

	"secretsbridge/agent"
	"secretsbridge/events"
)

// listSize is how many secrets ListSecrets answers with at most (API Reference).
const listSize = 100

// List implements [agent.Provider]. AWS lists the whole region in the order of creation;
// what the allow-list does not open is left out here. Its cursor is AWS's own.
//
// AWS does not list when a version was made: Updated is when the secret last changed in
// any way, labels included, so never earlier than that.
func (p *Provider) List(ctx context.Context, from agent.Cursor) iter.Seq2[agent.Page, error] {
	return agent.Pages("list secrets", from, func(from agent.Cursor) (agent.Page, error) { return p.page(ctx, from) })
}

// page joins as many answers as fit into one page.
func (p *Provider) page(ctx context.Context, from agent.Cursor) (agent.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	page := agent.Page{Next: from}
	for listed := 0; listed+listSize <= agent.MaxPage; listed += listSize {
		if err := p.extend(ctx, &page); err != nil {
			return agent.Page{}, err
		}
		if page.Next == "" {
			break
		}
	}
	return page, nil
}

// extend asks once, from page.Next on.
func (p *Provider) extend(ctx context.Context, page *agent.Page) error {
	in := &secretsmanager.ListSecretsInput{MaxResults: sdk.Int32(listSize)}
	if page.Next != "" {
		in.NextToken = sdk.String(string(page.Next))
	}
	var got *secretsmanager.ListSecretsOutput
	err := p.call(ctx, "ListSecrets", func(ctx context.Context) (err error) {
		got, err = p.plain.ListSecrets(ctx, in)
		return err
	})
	if err != nil {
		if code := faultOf(err).code; page.Next != "" && (code == codeParameter || code == codeValidate) {
			return fmt.Errorf("%w: AWS does not take it", agent.ErrCursor)
		}
		return err
	}
	next := agent.Cursor(sdk.ToString(got.NextToken))
	if got.SecretList == nil || len(got.SecretList) > listSize || next != "" && (next == page.Next || !validCursor(next)) {
		return otherAnswer("ListSecrets")
	}
	for _, one := range got.SecretList {
		p.add(page, events.SecretMetadata{
			Ref: sdk.ToString(one.Name), Labels: labelsOf(one.Tags), Version: string(currentOf(one.SecretVersionsToStages)),
			Created: sdk.ToTime(one.CreatedDate), Updated: sdk.ToTime(one.LastChangedDate),
		})
	}
	page.Next = next
	return nil
}

// add counts also a name that Read would refuse, such as one of a service's own secrets.
func (p *Provider) add(page *agent.Page, one events.SecretMetadata) {
	if ref, err := agent.ParseRef(one.Ref); err == nil {
		if _, err := p.locate(ref); errors.Is(err, agent.ErrInvalidRef) {
			page.Skipped++
			return
		}
	}
	page.Add(p.allow, one)
}

func validCursor(c agent.Cursor) bool {
	return len(c) <= events.MaxCursor && !strings.ContainsFunc(string(c), func(r rune) bool { return r < ' ' || r > '~' })
}
