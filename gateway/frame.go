package gateway

import (
	"encoding/json"
	"errors"
	"fmt"

	"secretsbridge/command"
	"secretsbridge/events"
	"secretsbridge/seal"
)

// What can be wrong with a frame. Whoever altered or made up one learns no more.
var (
	ErrFrameRefused = &command.Rejection{Code: "frame_refused", Detail: "the call is not signed by this agent for this service; somebody altered it on the way, or the agent's directory is a copy"}
	ErrFrameVersion = &command.Rejection{Code: "frame_version_unknown", Detail: "this control plane does not know this version of calls; update the older of the two"}
	ErrNoSignKey    = &command.Rejection{Code: "agent_sign_key_missing", Detail: "this agent was enrolled by a version that did not sign its calls; enrol the agent again with a new token"}
)

// caller is the agent that signed a request, and the request.
type caller struct {
	command.Agent
	request string // id of the frame; a repetition has the same one
	frame   []byte // as it came
	span    span
}

// command names what a request sets in motion, so that the history recognises a
// repetition of it.
func (c caller) command(service events.Service, parts ...string) events.CommandID {
	return events.DeriveCommandID(append([]string{"frame", string(service), string(c.ID), c.request}, parts...)...)
}

// openRequest checks a frame against the one key that may have signed it. Nothing else
// of it was looked at before.
func openRequest(agent command.Agent, service events.Service, frame []byte) (seal.Request, error) {
	if agent.Enrolled.SignKey == "" {
		return seal.Request{}, ErrNoSignKey
	}
	key, err := seal.ParseVerifyKey(agent.Enrolled.SignKey)
	if err != nil {
		return seal.Request{}, fmt.Errorf("signing key of agent %s: %w", agent.ID, err)
	}
	opened, err := callOf(agent.Enrolled.Account, service).OpenRequest(key, frame)
	switch {
	case errors.Is(err, seal.ErrSuite):
		return seal.Request{}, ErrFrameVersion
	case err != nil:
		return seal.Request{}, ErrFrameRefused
	}
	return opened, nil
}

// Refuse makes the answer to a call that was not looked at, such as one too many.
func (g *Gateway) Refuse(account string, service events.Service, request []byte, refusal *events.ServiceError) []byte {
	return g.reply(account, service, request, events.ServiceReply[any]{Error: refusal})
}

// reply signs an answer to exactly this request.
func (g *Gateway) reply(account string, service events.Service, request []byte, reply events.ServiceReply[any]) []byte {
	body, err := json.Marshal(reply)
	if err != nil {
		panic(fmt.Sprintf("gateway: a reply does not encode: %v", err)) // our own types: a defect
	}
	return callOf(account, service).SignReply(g.Signing.Key, request, body)
}

func callOf(account string, service events.Service) seal.Call {
	return seal.Call{Service: string(service), Account: account}
}
