package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"secretsbridge/events"
	"secretsbridge/web/api"
)

const (
	// redraw is how often the line on a terminal is written again, and how often it is looked
	// at elsewhere: a second is what its clock shows.
	redraw = time.Second

	// each is how often a line is written where there is no terminal, such as into the
	// log of a build.
	each = 10 * time.Second
)

// progress shows how a job gets on: on a terminal in one line that is written again and
// again, elsewhere in a line when something else is waited for, and one every ten seconds.
type progress struct {
	out     io.Writer
	now     func() time.Time // by the server's clock
	columns func() int       // of the terminal; nil: it is none

	mu    sync.Mutex // guards what follows
	job   api.Job
	drawn bool // the line is on the terminal
	stage string
	said  time.Time // zero until there was a line
}

// run keeps the clock of the line going until the function that it returns is called, which
// leaves nothing of the line behind. Elsewhere it writes lines also while nothing happens.
func (p *progress) run() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(redraw)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				p.again()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
		p.clear()
	}
}

// show takes how the job stands now.
func (p *progress) show(j api.Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.job = j
	if p.columns != nil {
		p.draw()
		return
	}
	if stage := j.State + " " + waitsFor(j); stage != p.stage || p.now().Sub(p.said) >= each {
		p.stage = stage
		p.say()
	}
}

// again writes the line with a newer clock, if it is time.
func (p *progress) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.drawn:
		p.draw()
	case p.columns == nil && !p.said.IsZero() && p.now().Sub(p.said) >= each:
		p.say()
	}
}

// say writes a line where there is no terminal.
func (p *progress) say() {
	p.said = p.now()
	fmt.Fprintln(p.out, p.text())
}

// clear takes the line away, for others to write.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.drawn = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// draw writes over the line that is there. It leaves the last column free: a terminal may
// go to the next line behind it.
func (p *progress) draw() {
	p.drawn = true
	fmt.Fprintf(p.out, "\r%s\x1b[K", short(p.text(), p.columns()-1))
}

// text is the line. Numbers come first: a terminal may have no room for the rest.
func (p *progress) text() string {
	j := p.job
	parts := []string{j.State + " " + max(0, p.now().Sub(j.QueuedAt)).Round(time.Second).String()}
	if t := j.Progress; t != nil {
		parts = append(parts, plural(t.Secrets, "secret"), plural(t.Pages, "page"), rate(*t))
		if j.Type == string(events.OperationDiscover) {
			parts = append(parts, fmt.Sprintf("%d new or back", t.Found), fmt.Sprintf("%d changed", t.Changed))
		}
	}
	if j.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", j.Attempt))
	}
	if why := waitsFor(j); why != "" {
		parts = append(parts, why)
	}
	return clean(fmt.Sprintf("%s %s: %s", j.Type, j.Connection, strings.Join(parts, ", ")))
}

// waitsFor is why nothing happens to a job. One that has begun shows by its numbers.
func waitsFor(j api.Job) string {
	if j.Progress != nil {
		return ""
	}
	return j.Waiting
}
