package agent

import (
	"context"

	"secretsbridge/events"
)

// discover sends the control plane what the provider lists, page by page, from where the
// attempt before ended. It holds three pages at most, however many secrets there are.
func (j job) discover(ctx context.Context, grant events.JobGrant) (events.FinishJob, error) {
	pages := newPager(grant, func(ctx context.Context, number int, s sheet[events.SecretMetadata]) (events.PageTaken, error) {
		return insist[events.PageTaken](ctx, j.Agent, events.ServicePage, events.ScanPage{
			Job: j.ticket.Job, Attempt: j.attempt, Number: number,
			Secrets: s.secrets, Skipped: s.skipped, Unlisted: s.unlisted, Cursor: s.cursor,
		})
	})
	return scan(ctx, j, grant, pages, func(secret events.SecretMetadata) error {
		return pages.add(ctx, secret.Ref, secret)
	})
}

// scan calls each for every secret that the provider lists, and sends the pages that it
// fills. Where the list ends with a fault, what there is until then is sent all the same.
func scan[T any](ctx context.Context, j job, grant events.JobGrant, pages *pager[T], each func(events.SecretMetadata) error) (events.FinishJob, error) {
	err := func() error {
		for page, err := range j.ahead(ctx, Cursor(grant.Cursor)) {
			if err != nil {
				return err
			}
			for _, secret := range page.Secrets {
				if err := each(secret); err != nil {
					return err
				}
			}
			if err := pages.turn(ctx, page); err != nil {
				return err
			}
		}
		return nil
	}()
	if ctx.Err() == nil && refusedWith(err) == "" {
		if fault := pages.flush(ctx); fault != nil {
			err = fault
		}
	}
	return events.FinishJob{Pages: pages.sent()}, err
}
