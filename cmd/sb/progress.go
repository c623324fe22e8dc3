package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"secretsbridge/web/api"
)

const (
	// redraw is how often the line on a terminal is written again: a second is what its
	// clock shows.
	redraw = time.Second

	// each is how often a line is written where there is no terminal, such as into the
	// log of a build.
	each = 10 * time.Second
)

// progress shows how a job gets on: on a terminal in one line that is written again and
// again, elsewhere in a line when something else is waited for, and then now and again.
type progress struct {
	out     io.Writer
	now     func() time.Time // by the server's clock
	columns func() int       // of the terminal; nil: it is none

	mu    sync.Mutex // guards what follows
	job   api.Job
	drawn bool // the line is on the terminal
	stage string
	said  time.Time
}

// run keeps the clock of the line going until the function that it returns is called, which
// leaves nothing of the line behind.
func (p *progress) run() (stop func()) {
	if p.columns == nil {
		return func() {}
	}
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
	if stage := j.State + " " + j.Waiting; stage != p.stage || p.now().Sub(p.said) >= each {
		p.stage, p.said = stage, p.now()
		fmt.Fprintln(p.out, p.text())
	}
}

// again writes the line with a newer clock.
func (p *progress) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		p.draw()
	}
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

// text is the line.
func (p *progress) text() string {
	j := p.job
	parts := []string{j.State}
	switch {
	case j.Waiting != "":
		parts = append(parts, j.Waiting)
	case j.Attempt > 1:
		parts = append(parts, fmt.Sprintf("attempt %d", j.Attempt))
	}
	if t := j.Progress; t != nil {
		parts = append(parts, plural(t.Pages, "page"), plural(t.Secrets, "secret"), fmt.Sprintf("%d new", t.Found), fmt.Sprintf("%d changed", t.Changed), rate(*t))
	}
	parts = append(parts, max(0, p.now().Sub(j.QueuedAt)).Round(time.Second).String())
	return clean(fmt.Sprintf("%s %s: %s", j.Type, j.Connection, strings.Join(parts, ", ")))
}
