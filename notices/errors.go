package notices

import "errors"

// ErrNoAddress says that there is nowhere to send to: no address was given, or it is gone.
var ErrNoAddress = errors.New("there is no address")
