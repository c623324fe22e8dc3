package policy

import "secretsbridge/events"

// seats gives each approval of some steps to a different person: whoever voted in one step
// does not count in another. Take a seat away from somebody and it is given to another, if
// there is a way.
type seats struct {
	may   [][]events.UserID // by seat: who can take it
	taken map[events.UserID]int
	gone  events.UserID // who may take none
}

// newSeats makes the seats of all steps and fills as many as can be filled. It returns the
// first step that is short of people, or -1.
func newSeats(approvals []int, may [][]events.UserID) (*seats, int) {
	s := &seats{taken: map[events.UserID]int{}}
	short := -1
	for step, n := range approvals {
		for range n {
			s.may = append(s.may, may[step])
			if !s.fill(len(s.may)-1, map[events.UserID]bool{}) && short < 0 {
				short = step
			}
		}
	}
	return s, short
}

// fill finds somebody for a seat, moving others to other seats where that helps.
func (s *seats) fill(seat int, asked map[events.UserID]bool) bool {
	for _, user := range s.may[seat] {
		if user == s.gone || asked[user] {
			continue
		}
		asked[user] = true
		if other, sits := s.taken[user]; !sits || s.fill(other, asked) {
			s.taken[user] = seat
			return true
		}
	}
	return false
}

// without reports whether all seats can be filled when somebody may take none. The seats stay
// as they were.
func (s *seats) without(user events.UserID) bool {
	seat, sits := s.taken[user]
	if !sits {
		return true
	}
	trial := &seats{may: s.may, taken: make(map[events.UserID]int, len(s.taken)), gone: user}
	for u, at := range s.taken {
		if u != user {
			trial.taken[u] = at
		}
	}
	return trial.fill(seat, map[events.UserID]bool{})
}
