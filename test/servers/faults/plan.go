package faults

import "sync"

// Plan says which faults the next calls meet, for a server that has faults of its own, of
// type F, the zero one of which is none. The zero Plan has none. It is safe for concurrent use.
type Plan[F comparable] struct {
	mu     sync.Mutex
	fault  F
	left   int                      // how many calls meet it; negative: all
	script func(operation string) F // chooses in its place, if set
	words  string
}

// Break begins a fault for the next calls: times of them, or all until the next Break if
// times is negative.
func (p *Plan[F]) Break(fault F, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.left, p.script = fault, times, nil
}

// Script has f choose the fault of each call; nil ends it. f may ask the server something
// itself, and is then asked about that call, too.
func (p *Plan[F]) Script(f func(operation string) F) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.script = 0, f
}

// Say has all answers of faults hold these words as well.
func (p *Plan[F]) Say(words string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.words = words
}

// Words are those of the last Say.
func (p *Plan[F]) Words() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.words
}

// Meet is the fault of a call, which the server asks for once. One that Break began and that
// this call cannot have stays for another; a nil can has them all.
func (p *Plan[F]) Meet(operation string, can func(F) bool) F {
	p.mu.Lock()
	if script := p.script; script != nil {
		p.mu.Unlock()
		return script(operation)
	}
	defer p.mu.Unlock()
	if p.left == 0 || can != nil && !can(p.fault) {
		var none F
		return none
	}
	if p.left > 0 {
		p.left--
	}
	return p.fault
}
