package gateway

import (
	"bytes"
	"encoding/json"
	"slices"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// signed adds to a command the frame that says what became of a job, for auditors. Its message
// must have the one form that agents write: in another one there would be room for what no fact
// may hold, and for two readings.
func (c caller) signed(meta command.Meta, service events.Service, message any) (command.Meta, error) {
	body, err := json.Marshal(message)
	if err != nil || !bytes.Equal(body, c.frame[seal.RequestOverhead:]) {
		return meta, errMalformed
	}
	if len(c.frame) <= events.MaxReceipt {
		meta.Receipt = &events.Receipt{
			Agent: c.ID, Account: c.Enrolled.Account, Service: service, Key: c.Enrolled.SignKey, Frame: slices.Clone(c.frame),
		}
	}
	return meta, nil
}
