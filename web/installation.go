package web

import (
	"net/http"
	"time"

	"secretsbridge/policy"
	"secretsbridge/store"
	"secretsbridge/web/api"
)

// Installation is what a server is told of itself to tell others.
type Installation struct {
	Version    string // of the build
	KeyManager string // its kind: local, vault-transit, aws-kms
	Issuer     string // of the identity provider; empty: there is none
	Mail       bool   // notices can be sent by e-mail
}

// signInMethods says what the page where people sign in offers.
func (a *API) signInMethods(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	methods := api.SignInMethods{Password: true}
	if a.SignOn != nil {
		methods.SSO = &api.SingleSignOn{Issuer: a.Installation.Issuer, Start: Prefix + "/auth/oidc/start"}
	}
	return reply{status: http.StatusOK, body: methods}, nil
}

// showInstallation tells what is set up here, and more to those who operate it.
func (a *API) showInstallation(c *call) (reply, error) {
	if _, err := c.query(); err != nil {
		return reply{}, err
	}
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	shown := api.Installation{
		Version: a.Installation.Version, SSOIssuer: a.Installation.Issuer, Mail: a.Installation.Mail,
		Passkeys: api.RelyingParty{ID: a.Factors.Party.ID(), Origins: a.Factors.Party.Origins()},
		GitOps:   a.GitOps != nil,
		Limits: api.InstallationLimits{
			PendingSeconds: seconds(a.PendingTTL), ApprovalSeconds: seconds(a.ApprovalTTL), RevealSeconds: seconds(a.RevealTTL),
			OpenRequests: a.OpenRequests, UploadBytes: maxPatchBody,
			SessionSeconds: seconds(store.AbsoluteEnd), BrowserIdleSeconds: seconds(store.BrowserIdleEnd),
		},
	}
	if c.sees(policy.GovernanceRead) {
		shown.Operation = &api.Operation{StartedAt: a.started, KeyManager: a.Installation.KeyManager}
	}
	if c.sees(policy.AgentList) {
		online, enrolled, err := a.Views.CountAgents(c.ctx())
		if err != nil {
			return reply{}, err
		}
		shown.Agents = &api.AgentCount{Online: online, Enrolled: enrolled}
	}
	return reply{status: http.StatusOK, body: shown}, nil
}
