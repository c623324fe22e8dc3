package awssm

import (
	"net/http"

	"secretsbridge/test/servers/awsjson"
)

// Fault is what the fake does in place of an answer.
type Fault string

// The faults. All but Lost happen before the call has any effect.
const (
	None      Fault = ""
	Throttled Fault = "throttled"    // asks to slow down
	Forbidden Fault = "forbidden"    // AccessDeniedException
	Failing   Fault = "failing"      // InternalServiceError, status 500
	Reset     Fault = "reset"        // breaks the connection
	Garbage   Fault = "garbage"      // a page of somebody else's
	Lost      Fault = "lost"         // the call takes effect and the connection breaks
	Unsigned  Fault = "unauthorised" // does not know the caller
	Silent    Fault = "silent"       // takes the call and never answers
	Odd       Fault = "odd"          // an error with a code that nobody documents, and words to hide
	Slow      Fault = "slow"         // asks to come again in a second
	Never     Fault = "never"        // asks to come again in an hour
)

// OddWords are in the code and in the message of [Odd]: no caller may repeat them.
const OddWords = "odd-words-6f2e91"

// meet counts a call and says what happens to it.
func (s *Server) meet(operation string) Fault {
	s.mu.Lock()
	s.calls[operation]++
	s.mu.Unlock()
	return s.Meet(operation, nil)
}

// comes reports whether a call comes to the service. If not, it was answered.
func (s *Server) comes(w http.ResponseWriter, r *http.Request, fault Fault) bool {
	words := s.Words()
	switch fault {
	case Throttled:
		fail("ThrottlingException", "Rate exceeded"+words).Write(w)
	case Slow:
		w.Header().Set("Retry-After", "1")
		fail("ThrottlingException", "Rate exceeded"+words).Write(w)
	case Never:
		w.Header().Set("Retry-After", "3600")
		fail("ThrottlingException", "Rate exceeded"+words).Write(w)
	case Forbidden:
		fail("AccessDeniedException", "User is not authorized"+words).Write(w)
	case Failing:
		(&failure{Type: "InternalServiceError", Message: "An error occurred on the server side." + words, Capital: true, Status: http.StatusInternalServerError}).Write(w)
	case Unsigned:
		awsjson.Fail("UnrecognizedClientException", "The security token included in the request is invalid."+words).Write(w)
	case Odd:
		fail("Odd."+OddWords, OddWords+words).Write(w)
	case Garbage:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>" + OddWords + words + "</body></html>"))
	case Reset:
		panic(http.ErrAbortHandler)
	case Silent:
		select {
		case <-r.Context().Done():
		case <-s.ended:
		}
		panic(http.ErrAbortHandler)
	default:
		return true
	}
	return false
}
