package leaf

import (
	"context"
	"fmt"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"secretsbridge/nats/subject"
)

// ackTimeout bounds the wait for the confirmation of an acknowledgement.
const ackTimeout = 5 * time.Second

// maxReason bounds the text of a refusal, in bytes.
const maxReason = 256

// delivery implements [agent.Delivery]. Every acknowledgement is confirmed by the
// control plane's server; without confirmation the error wraps [agent.ErrLinkDown].
type delivery struct {
	link *Link
	msg  *natsgo.Msg // its reply is the subject of acknowledgements
}

// Data is JSON of an events.SignedTicket.
func (d *delivery) Data() []byte { return d.msg.Data }

// Extend renews the lease by the full term.
func (d *delivery) Extend(ctx context.Context) error {
	return d.ack(ctx, "renew lease of job", "+WPI")
}

// Done says that the outcome is stored.
func (d *delivery) Done(ctx context.Context) error { return d.ack(ctx, "confirm job", "+ACK") }

// Later gives the job back; an agent gets it again after the delay.
func (d *delivery) Later(ctx context.Context, delay time.Duration) error {
	return d.ack(ctx, "give job back", fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds()))
}

// Refuse ends the job. The ticket is gone with it, so the reason begins with the job's
// id: package nats reads it in the advisory.
func (d *delivery) Refuse(ctx context.Context, reason string) error {
	_, _, job, _ := subject.ParseJob(d.msg.Subject)
	reason = strings.Join(strings.Fields(reason), " ")
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return d.ack(ctx, "refuse job", "+TERM "+string(job)+" "+reason)
}

func (d *delivery) ack(ctx context.Context, doing, body string) error {
	if _, err := d.link.request(ctx, d.msg.Reply, []byte(body), ackTimeout); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
