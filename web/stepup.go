package web

// stepUp refuses a call whose caller has not proven a second factor just now, where the workflow
// of a request asks for one. Until there are factors nobody can prove one, so what needs it is
// refused.
func (a *API) stepUp(*call) error {
	return errForbidden.because("this needs a fresh second factor, and there are none yet")
}
