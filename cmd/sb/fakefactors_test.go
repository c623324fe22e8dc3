package main

import (
	"net/http/httptest"
	"strings"
	"time"

	"secretsbridge/web/api"
)

// What the fake's owner proves a second factor with.
const (
	canaryCode     = "287082"
	canaryRecovery = "cnry-0000-1111-2222"
	canarySecret   = "CANARYGEZDGNBVGY3TQOJQGEZDGNBVGY"
)

// commandFactors answers commands about second factors.
func (f *fake) commandFactors(w *httptest.ResponseRecorder, path string, body []byte) {
	part := strings.Split(path, "/")
	switch {
	case path == "me/step-up":
		var in api.StepUp
		f.decode(body, &in)
		if app, code := in.TOTPCode == canaryCode, in.RecoveryCode == canaryRecovery; app == code { // one of both
			problem(w, 403, "step_up_failed")
			return
		}
		f.steppedUp = true
		f.write(w, 200, api.Done{Seq: f.seq + 1})
	case path == "me/factors/totp":
		var in api.NewTOTP
		f.decode(body, &in)
		f.write(w, 201, api.TOTP{ID: "f_1", Secret: canarySecret, URI: "otpauth://totp/x?secret=" + canarySecret, Until: time.Now()})
	case len(part) == 5 && part[4] == "confirm":
		var in api.TOTPCode
		f.decode(body, &in)
		if in.Code != canaryCode {
			problem(w, 422, "factor_proof_invalid")
			return
		}
		f.factors.Items = append(f.factors.Items, api.Factor{ID: part[3], Kind: "totp", Name: "phone", EnrolledAt: time.Now()})
		f.write(w, 200, api.Enrolled{ID: part[3], Seq: f.seq + 1})
	case !f.steppedUp:
		problem(w, 401, "step_up_required")
	case path == "me/recovery-codes":
		f.factors.RecoveryCodes = 2
		f.write(w, 201, api.RecoveryCodes{Codes: []string{canaryRecovery, "abcd-efgh-jkmn-pqrs"}, Seq: f.seq + 1})
	case len(part) == 4 && part[3] == "remove":
		f.decode(body, &struct{}{})
		f.factors.Items = nil
		f.write(w, 200, api.Done{Seq: f.seq + 1})
	default:
		problem(w, 404, "factor_unknown")
	}
}
